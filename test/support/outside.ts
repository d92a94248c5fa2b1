import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import type { NetworkRequest } from "../../src/api/methods/network-requests.ts";
import type { VmHandlers, VmRunOptions } from "../../src/runtime/hooks.ts";
import type { OutboundOptions, OutboundSeams } from "../../src/runtime/network/outbound/outbound.ts";
import { vmOptionsSchema } from "../../src/runtime/options.ts";
import { MemoryStore } from "../../src/runtime/store/store.ts";
import { assembleVm } from "../../src/runtime/vm.ts";
import { openShared } from "../../src/runtime/vm-shared.ts";

/** Starts a server on this machine's loopback that stands for an outside host. It closes when the test ends. */
export async function startOutside(
  listener: RequestListener = echo,
  tls?: { key: string; cert: string },
  host = "127.0.0.1",
): Promise<{ port: number; server: Server; requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = [];
  const record: RequestListener = (request, response) => {
    requests.push(request);
    listener(request, response);
  };
  const server = tls === undefined ? createServer(record) : createTlsServer(tls, record);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, server, requests };
}

/** Starts a TCP server on this machine's loopback that stands for an outside host. It closes when the test ends. */
export async function listenOutside(serve: (socket: Socket) => void, host = "127.0.0.1"): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** Serves a connection: sends nothing until the program has ended its side, then all that the program has sent. */
export function echoAtEnd(socket: Socket): void {
  const pieces: Buffer[] = [];
  socket.on("data", (piece: Buffer) => pieces.push(piece));
  socket.on("end", () => socket.end(Buffer.concat(pieces)));
}

/** A command that connects by bash alone, without a proxy, and prints the first line or the error. */
export const readLine = (host: string, port: number) =>
  `timeout 20 bash -c 'exec 3<>/dev/tcp/${host}/${port} && head -1 <&3' 2>&1`;

/** A program that connects to each `host port` and prints what it gets: bytes, or the code of an error. */
export const attempt = (targets: readonly [host: string, port: number][]) => `
  const net = require("node:net");
  const attempt = ([host, port]) => new Promise((resolve) => {
    const socket = net.connect({ host, port });
    socket.on("data", (data) => resolve("reached"));
    socket.on("end", () => resolve("end"));
    socket.on("error", (error) => resolve(error.code));
  });
  (async () => {
    for (const target of ${JSON.stringify(targets)}) console.log(target[0], await attempt(target));
  })();`;

const echo: RequestListener = (request, response) => {
  let body = "";
  request.setEncoding("utf8").on("data", (text: string) => {
    body += text;
  });
  request.on("end", () => {
    response.end(
      `${JSON.stringify({ method: request.method, url: request.url, host: request.headers.host, body })}\n`,
    );
  });
};

/** Starts a VM with an outbound policy and a resolver that knows only these names. */
export function startOutboundVm(
  network: Partial<OutboundOptions>,
  names: Record<string, string[] | (() => string[] | Promise<string[]>)> = {},
  more: Pick<VmRunOptions, "store" | "sealingKey" | "onFailure"> &
    Pick<VmHandlers, "onNetworkRequest"> & { ca?: string } = {},
) {
  const options = vmOptionsSchema.parse({ network });
  const denied: { host: string; port: number; reason: string; code?: string; pid?: number }[] = [];
  const resolved: string[] = [];
  const asked: NetworkRequest[] = [];
  const hooks = {
    ...(more.onNetworkRequest && { onNetworkRequest: more.onNetworkRequest }),
    emit: (name: string, payload: object) => {
      if (name === "networkDenied") denied.push(payload as (typeof denied)[number]);
      if (name === "networkRequest") asked.push(payload as NetworkRequest);
    },
    keepAwake: () => undefined,
  };
  const outbound: OutboundSeams = {
    ...(more.ca === undefined ? {} : { ca: more.ca }),
    resolve: async (host) => {
      resolved.push(host);
      const found = names[host];
      if (found === undefined)
        throw Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: "ENOTFOUND" });
      return typeof found === "function" ? await found() : found;
    },
  };
  const { ca: _ca, onNetworkRequest: _asked, ...run } = more;
  const vm = assembleVm(openShared(options, { outbound }), hooks, { store: new MemoryStore(), ...run });
  onTestFinished(() => vm.dispose("destroy"));
  /** Runs curl in the VM. @returns the body or error, and the exit code */
  const curl = async (line: string) => {
    const { stdout, stderr, exitCode } = await vm.exec(`curl -sS -m 20 ${line}`);
    return { text: stdout + stderr, exitCode };
  };
  return { vm, denied, asked, resolved, curl };
}
