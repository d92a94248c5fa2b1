/// <reference lib="esnext.disposable" preserve="true" />
import type { AgentVmError } from "../../api/errors.ts";

/** Options of `tunnel`: a port or a Unix socket inside, and the address on this machine. */
export type TunnelOptions = (
  | {
      /** Port of a server inside, on 127.0.0.1 or ::1. */
      port: number;
      /** Absent: the tunnel leads to a port. */
      socketPath?: undefined;
    }
  | {
      /** Absolute path of a Unix socket inside. */
      socketPath: string;
      /** Absent: the tunnel leads to a Unix socket. */
      port?: undefined;
    }
) & {
  /** Port to listen on. @default 0, a free port */
  localPort?: number;
  /** Address to listen on. Anybody who reaches it reaches the server inside. @default "127.0.0.1" */
  host?: string;
  /** Called when a connection cannot be opened, or breaks. The program sees a reset. @default not called */
  onError?: (error: AgentVmError) => void;
};

/** A port of this machine that leads into a VM. `await using` closes it. */
export interface Tunnel extends AsyncDisposable {
  /** Address that the tunnel listens on. */
  readonly host: string;
  /** Port that the tunnel listens on. */
  readonly port: number;
  /** Stops listening and resets the open connections. A second close does nothing. */
  close(): Promise<void>;
}

/** Options of `tunnelOut`. */
export interface TunnelOutOptions {
  /** Name inside: programs connect to `NAME.agent-vm`. Lower-case letters, digits and dashes, other than `host`. */
  name: string;
  /** Port inside. */
  port: number;
  /** Port of the service on this machine. @default the port inside */
  localPort?: number;
  /** Host of the service. @default "127.0.0.1" */
  localHost?: string;
  /** Path of a Unix socket on this machine, in place of a port. @default a port */
  localSocketPath?: string;
  /** Called when the service cannot be reached, and when the offer has ended for good. @default not called */
  onError?: (error: AgentVmError) => void;
}

/** A service of this machine that is offered inside a VM. `await using` withdraws it. */
export interface TunnelOut extends AsyncDisposable {
  /** Name inside, such as `"db.agent-vm"`. */
  readonly host: string;
  /** Port inside. */
  readonly port: number;
  /** Withdraws the service and cuts its connections. A second close does nothing. */
  close(): Promise<void>;
}

/** Connections between this machine and servers inside: methods of handles and connections. */
export interface TunnelMethods {
  /**
   * Listens on a port of this machine and carries its TCP connections to a port or a Unix socket inside: for psql, redis-cli,
   * ssh, debuggers. A connection wakes the VM and keeps it awake; a tunnel without connections does not. Not in browsers.
   *
   * @param options `port` or `socketPath` inside; `localPort`, `host` and `onError`
   * @throws AgentVmError `EADDRINUSE`; `not_supported` in a browser and through an engine's gateway; `limit_exceeded`; `actor_not_found`
   * @example
   * ```ts
   * await using database = await agent.tunnel({ port: 5432, localPort: 15432 });
   * console.log(`psql -h ${database.host} -p ${database.port}`);
   * ```
   */
  tunnel(options: TunnelOptions): Promise<Tunnel>;
  /**
   * Offers a service of this machine to the programs of the VM as `NAME.agent-vm:PORT`, if the VM's network policy has a
   * rule with this name. The offer ends with `close` and with this process. Not in browsers.
   *
   * @param options `name` and `port` inside; `localPort`, `localHost` or `localSocketPath` of the service; `onError`
   * @throws AgentVmError `forbidden` when the policy has no such rule; `EADDRINUSE` when another client offers the name and
   * port; `not_supported` in a browser and through an engine's gateway; `limit_exceeded`; `actor_not_found`
   * @example
   * ```ts
   * await agent.setNetworkPolicy({ outbound: { allow: ["model.agent-vm:8080"] } });
   * await using model = await agent.tunnelOut({ name: "model", port: 8080 });
   * await agent.exec("curl http://model.agent-vm:8080/v1/models");
   * ```
   */
  tunnelOut(options: TunnelOutOptions): Promise<TunnelOut>;
  /**
   * Opens a WebSocket to a server inside, from Node or a page. Text, binary, subprotocols and close codes pass unchanged.
   *
   * @param port port of the server inside, on 127.0.0.1 or ::1
   * @param path path with query. @default "/"
   * @param protocols subprotocols to offer. @default none
   * @returns an open WebSocket of the platform
   * @throws AgentVmError `ECONNREFUSED` when nothing listens; `fetch_failed` when the server takes no WebSocket there;
   * `not_supported` through an engine's gateway; `actor_not_found`
   * @example
   * ```ts
   * const socket = await agent.vmWebSocket(3000, "/live?room=1");
   * socket.addEventListener("message", ({ data }) => console.log(data));
   * socket.send("hello");
   * ```
   */
  vmWebSocket(port: number, path?: string, protocols?: string | string[]): Promise<WebSocket>;
}
