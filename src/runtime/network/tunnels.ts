import type { Socket } from "node:net";
import { AgentVmError, limitExceeded } from "../../api/errors.ts";
import { MAX_PREVIEW_CONNECTIONS, MAX_TUNNEL_CONNECTIONS_PER_VM } from "./limits.ts";
import { type PreviewUpgrade, proxyUpgrade } from "./previews/preview-proxy.ts";
import { busy } from "./previews/preview-server.ts";
import { refuseUpgrade } from "./previews/refusals.ts";
import type { AppPorts } from "./requests/app-ports.ts";

/** The end of a tunnel in the VM: a port, or the path of a Unix socket. */
export type TunnelEnd = { port: number } | { socketPath: string };

interface TunnelDeps {
  ports: AppPorts;
  connect(end: TunnelEnd, signal: AbortSignal): Promise<Socket>;
}

/** Connections of clients to servers in one VM: TCP connections and WebSockets. */
export class Tunnels {
  readonly #deps: TunnelDeps;
  #sockets = 0;
  #webSockets = 0;

  constructor(deps: TunnelDeps) {
    this.#deps = deps;
  }

  /** Connects to a server in the VM. The caller closes the connection, which allows half-open. */
  async open(end: TunnelEnd, signal: AbortSignal): Promise<Socket> {
    if (this.#sockets >= MAX_TUNNEL_CONNECTIONS_PER_VM) {
      throw limitExceeded(
        { MAX_TUNNEL_CONNECTIONS_PER_VM },
        "Limit of connections through tunnels of the VM reached",
        "Close a connection first.",
      );
    }
    this.#sockets += 1;
    let socket: Socket;
    try {
      socket = await this.#deps.connect(end, signal);
      if (signal.aborted) socket.destroy();
      signal.throwIfAborted();
    } catch (error) {
      this.#sockets -= 1;
      throw error;
    }
    socket.once("close", () => {
      this.#sockets -= 1;
    });
    return Object.assign(socket, { allowHalfOpen: true });
  }

  /** Serves a WebSocket to a port of the VM. Never rejects. @param ended aborts when the client's access or the VM ends */
  async serveWebSocket(port: number, visit: PreviewUpgrade, ended: AbortSignal): Promise<void> {
    if (this.#webSockets >= MAX_PREVIEW_CONNECTIONS) return refuseUpgrade(visit.socket, busy());
    this.#webSockets += 1;
    try {
      const { connect, speaksTls } = this.#deps.ports;
      await proxyUpgrade(visit, { port, connect, speaksTls, ended, hasNoCookies: true });
    } catch (error) {
      const message = "The WebSocket could not be served";
      refuseUpgrade(visit.socket, new AgentVmError("preview_failed", message, {}, { cause: error }));
    } finally {
      this.#webSockets -= 1;
    }
  }
}
