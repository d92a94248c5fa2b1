import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import type { OutboundOptions } from "../../src/runtime/network/outbound/outbound.ts";
import { vmOptionsSchema } from "../../src/runtime/options.ts";
import { createSandboxFactory } from "../../src/runtime/sandbox/factory.ts";
import { MemoryStore, type Store } from "../../src/runtime/store.ts";
import { assembleVm } from "../../src/runtime/vm.ts";

/** A host of the outside: a server on this machine's loopback, closed when the test ends. */
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

/** A VM with a policy, and a resolver that knows these names only. */
export function startOutboundVm(
  network: Partial<OutboundOptions>,
  names: Record<string, string[] | (() => string[] | Promise<string[]>)> = {},
  more: { store?: Store; ca?: string } = {},
) {
  const options = vmOptionsSchema.parse({ network });
  const denied: { host: string; port: number; reason: string; pid?: number }[] = [];
  const resolved: string[] = [];
  const hooks = {
    emit: (name: string, payload: object) => {
      if (name === "networkDenied") denied.push(payload as (typeof denied)[number]);
    },
    keepAwake: () => undefined,
  };
  const vm = assembleVm(options, createSandboxFactory(options), hooks, {
    store: more.store ?? new MemoryStore(),
    outbound: {
      ...(more.ca === undefined ? {} : { ca: more.ca }),
      resolve: async (host) => {
        resolved.push(host);
        const found = names[host];
        if (found === undefined) throw new Error(`getaddrinfo ENOTFOUND ${host}`);
        return typeof found === "function" ? await found() : found;
      },
    },
  });
  onTestFinished(() => vm.dispose("destroy"));
  /** What curl says inside: body or error, and the status. */
  const curl = async (line: string) => {
    const { stdout, stderr, exitCode } = await vm.exec(`curl -sS -m 20 ${line}`);
    return { text: stdout + stderr, exitCode };
  };
  return { vm, denied, resolved, curl };
}
