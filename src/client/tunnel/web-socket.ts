import { AgentVmError, connectionLost, invalidArgument } from "../../api/errors.ts";
import { deferred } from "../../base/deferred.ts";
import type { RawHandle } from "../rivet/raw.ts";
import { TunnelLine } from "./line.ts";
import { checkTunnelOptions } from "./options.ts";

/** Opens a WebSocket to a server in the VM, and waits until it is open. */
export async function openVmWebSocket(
  raw: RawHandle,
  port: number,
  path = "/",
  protocols: string | string[] = [],
): Promise<WebSocket> {
  checkTunnelOptions("vmWebSocket", { port }, ["port"], ["port"]);
  if (typeof path !== "string" || !path.startsWith("/") || path.startsWith("//") || path.includes("#"))
    throw invalidArgument("path", "a path that starts with one slash and has no fragment", path);
  const { pathname, search } = new URL(path, "http://vm");
  const offered = typeof protocols === "string" ? [protocols] : protocols;
  const socket = await raw.openAt(`/port/${port}${pathname}${search}`, offered);
  const { promise, resolve, reject } = deferred<void>();
  const fail = () => reject(connectionLost("The WebSocket did not open"));
  const ends = { once: true };
  // The package `ws` throws an error that nobody listens to.
  socket.addEventListener("error", () => undefined);
  socket.addEventListener("open", () => resolve(), ends);
  holdFirstMessages(socket);
  socket.addEventListener("error", fail, ends);
  socket.addEventListener("close", fail, ends);
  try {
    await promise;
    return socket;
  } catch {
    throw await reasonOf(raw, port, path);
  } finally {
    socket.removeEventListener("close", fail);
  }
}

/** The package `ws`, on Node 20, reports messages in the turn in which it has opened: before the caller can listen. */
function holdFirstMessages(socket: WebSocket & { pause?(): void; resume?(): void }): void {
  if (socket.pause === undefined) return;
  const hold = () => {
    socket.pause?.();
    setTimeout(() => socket.resume?.());
  };
  socket.addEventListener("open", hold, { once: true });
}

/** Finds why a WebSocket failed. A browser does not say it. */
async function reasonOf(raw: RawHandle, port: number, path: string): Promise<AgentVmError> {
  const line = new TunnelLine(raw);
  try {
    await line.openStream({ port }, (stream) => stream.reset());
    return new AgentVmError("fetch_failed", `The server at port ${port} takes no WebSocket at ${path}`, {
      port,
    });
  } catch (error) {
    return error as AgentVmError;
  } finally {
    await line.close();
  }
}
