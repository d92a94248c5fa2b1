import { once } from "node:events";
import { type ClientHttp2Session, connect as connectHttp2, type IncomingHttpHeaders } from "node:http2";
import { type AddressInfo, createServer, type Socket, connect as tcpConnect } from "node:net";
import { createSecureContext, type TLSSocket, connect as tlsConnect } from "node:tls";
import { onTestFinished } from "vitest";
import type { OutboundPolicy } from "../../src/api/methods/network.ts";
import type { VmSecret } from "../../src/api/methods/secrets.ts";
import { VmAuthority } from "../../src/runtime/network/outbound/authority/authority.ts";
import { toPem } from "../../src/runtime/network/outbound/authority/certificate.ts";
import { CredentialRules } from "../../src/runtime/network/outbound/credentials/rules.ts";
import { OutboundGate } from "../../src/runtime/network/outbound/gate.ts";
import { NetworkLog } from "../../src/runtime/network/outbound/log.ts";
import { OutboundProxy } from "../../src/runtime/network/outbound/proxy.ts";
import type { NetworkQuestions } from "../../src/runtime/network/outbound/questions.ts";

export const SECRET = "s3cr3t/value+1234";

interface ProxyOptions {
  /** Port of the host `api.test`, and its certificate. */
  port: number;
  cert: string;
  secret?: Partial<VmSecret>;
  policy?: (port: number) => OutboundPolicy;
  questions?: NetworkQuestions;
}

/** Starts an outbound proxy in this process that opens the connections to `api.test`, which is 127.0.0.2. */
export async function startOpeningProxy({ port, cert, secret, policy, questions }: ProxyOptions) {
  const log = new NetworkLog(
    () => undefined,
    () => undefined,
  );
  const outbound = policy?.(port) ?? { allow: ["api.test", `127.0.0.2:${port}`] };
  const gate = new OutboundGate(outbound, log, { resolve: async () => ["127.0.0.2"], questions });
  const hosts = [`api.test:${port}`];
  const headers = { authorization: "Bearer {secret}" };
  const rules = new CredentialRules({}, { API_KEY: { value: SECRET, hosts, headers, ...secret } });
  const authority = await VmAuthority.make();
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const proxy = new OutboundProxy(server, {
    gate,
    ownerOf: async () => undefined,
    credentials: () => rules,
    authority: () => authority,
    trust: () => createSecureContext({ ca: cert }),
  });
  onTestFinished(() => {
    proxy.close();
    gate.close();
  });
  const ca = toPem(authority.certificate);
  const { port: proxyPort } = server.address() as AddressInfo;

  /** Opens a tunnel to `api.test` through the proxy. */
  async function tunnel(): Promise<Socket> {
    const socket: Socket = tcpConnect(proxyPort, "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    socket.write(`CONNECT api.test:${port} HTTP/1.1\r\nHost: api.test\r\n\r\n`);
    await once(socket, "data");
    return socket;
  }

  /** Opens TLS to `api.test` through the proxy, as a program does. */
  async function open(protocols: string[]): Promise<TLSSocket> {
    const socket = await tunnel();
    const secure = tlsConnect({ socket, servername: "api.test", ca, ALPNProtocols: protocols });
    await once(secure, "secureConnect");
    return secure;
  }

  /** Opens a session of HTTP/2 to `api.test`. */
  async function session(): Promise<ClientHttp2Session> {
    const secure = await open(["h2"]);
    return sessionOver(`https://api.test:${port}`, secure);
  }

  /** Opens a session of HTTP/2 without TLS to `api.test`. */
  async function clearSession(): Promise<ClientHttp2Session> {
    return sessionOver(`http://api.test:${port}`, await tunnel());
  }

  return { gate, log, open, session, clearSession, proxyPort, ca };
}

function sessionOver(url: string, socket: Socket): ClientHttp2Session {
  const opened = connectHttp2(url, { createConnection: () => socket });
  opened.on("error", () => undefined);
  onTestFinished(() => opened.destroy());
  return opened;
}

export interface StreamAnswer {
  headers: IncomingHttpHeaders;
  trailers: IncomingHttpHeaders;
  body: string;
  code: number;
}

/** Sends a request, and collects the answer until the stream closes. */
export async function requestStream(
  session: ClientHttp2Session,
  headers: Record<string, string | string[]>,
  body?: string | Buffer,
): Promise<StreamAnswer> {
  const stream = session.request(headers, { endStream: body === undefined });
  const answer: StreamAnswer = { headers: {}, trailers: {}, body: "", code: -1 };
  stream.on("error", () => undefined);
  stream.on("response", (given) => {
    answer.headers = given;
  });
  stream.on("trailers", (given) => {
    answer.trailers = given;
  });
  stream.setEncoding("latin1").on("data", (text: string) => {
    answer.body += text;
  });
  if (body !== undefined) stream.end(body);
  await new Promise((resolve) => stream.once("close", resolve));
  return { ...answer, code: stream.rstCode };
}
