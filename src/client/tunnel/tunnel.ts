import type { Server, Socket } from "node:net";
import { type AgentVmError, connectionLost, invalidArgument, receivedError } from "../../api/errors.ts";
import { deferred } from "../../base/deferred.ts";
import { joinSocket } from "../../base/mux/join.ts";
import type { RawHandle } from "../rivet/raw.ts";
import { TunnelLine } from "./line.ts";
import { nodeNet } from "./node-net.ts";
import { checkTunnelOptions } from "./options.ts";
import type { Tunnel, TunnelOptions } from "./types.ts";

const OPTIONS = ["port", "socketPath", "localPort", "host", "onError"];

/** Listens on this machine and carries each connection into the VM. */
export async function openTunnel(raw: RawHandle, options: TunnelOptions): Promise<Tunnel> {
  checkTunnelOptions("tunnel", options, OPTIONS);
  const { port, socketPath, localPort = 0, host = "127.0.0.1", onError = () => undefined } = options;
  if ((port === undefined) === (socketPath === undefined))
    throw invalidArgument("options", "{ port } or { socketPath }", options);
  const end = port === undefined ? { socketPath } : { port };
  const net = nodeNet("tunnel");
  const line = new TunnelLine(raw);
  const sockets = new Set<Socket>();
  // A connection that is not read yet keeps its bytes in the kernel.
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
    void carry(socket, line, end).then((error) => {
      if (error !== undefined && server.listening) onError(error);
    });
  });
  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= endServer(server, sockets, line);
    return closed;
  };
  try {
    // A wrong token or key shows here, and not with the first connection.
    await line.open();
    await listening(server, host, localPort);
  } catch (error) {
    await close();
    throw error;
  }
  const address = server.address() as { address: string; port: number };
  return { host: address.address, port: address.port, close, [Symbol.asyncDispose]: close };
}

/** Carries a connection. @returns why it could not be opened, or broke */
async function carry(socket: Socket, line: TunnelLine, end: object): Promise<AgentVmError | undefined> {
  try {
    let joined: Promise<AgentVmError | undefined> | undefined;
    await line.openStream(end, (stream) => {
      joined = joinSocket(stream, socket, ({ message }) => connectionLost(message));
      socket.resume();
    });
    return await joined;
  } catch (error) {
    socket.resetAndDestroy();
    return error as AgentVmError;
  }
}

async function listening(server: Server, host: string, port: number): Promise<void> {
  const { promise, resolve, reject } = deferred<void>();
  server.once("listening", resolve);
  server.once("error", ({ code = "", message }: NodeJS.ErrnoException) =>
    reject(receivedError(code, `Cannot listen on ${host}:${port}: ${message}`, { host, port })),
  );
  server.listen({ host, port });
  await promise;
  // The system may be out of descriptors for a moment.
  server.on("error", () => undefined);
}

async function endServer(server: Server, sockets: ReadonlySet<Socket>, line: TunnelLine): Promise<void> {
  const { promise, resolve } = deferred<void>();
  server.close(() => resolve());
  // Half of the bytes may be under way: the programs must not take the end for a whole answer.
  for (const socket of sockets) socket.resetAndDestroy();
  await Promise.all([line.close(), promise]);
}
