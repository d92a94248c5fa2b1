import { once } from "node:events";
import type { Server } from "node:net";
import { AgentVmError } from "../api/errors.ts";

/** Makes a server listen on an address. @throws AgentVmError `port_in_use`, or `listen_failed` with the system's reason */
export async function listenOn(server: Server, host: string, port: number): Promise<void> {
  try {
    server.listen({ host, port, exclusive: true });
    await once(server, "listening");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "EADDRINUSE") throw portInUse(host, port);
    throw new AgentVmError("listen_failed", `Cannot listen on ${host}:${port}: ${message}`, { code });
  }
}

export function portInUse(host: string, port: number): AgentVmError {
  const message = `Port ${port} is in use on ${host} or on another address of this machine`;
  return new AgentVmError("port_in_use", message, { host, port });
}
