import type { AddressInfo, Server, Socket } from "node:net";
import { constants } from "node:os";
import { AgentVmError, limitExceeded, vmStopped } from "../../../../api/errors.ts";
import { CONNECT_TIMEOUT_MS, MAX_VM_CONNECTIONS } from "../../../../api/limits.ts";
import type { ConnectOptions, ListeningSocket, SandboxNetwork } from "../../sandbox.ts";
import type { Entry } from "../start/command.ts";
import { Connector, type ConnectorKind, ConnectorLost, SocketRefused } from "./connector.ts";
import { Holders } from "./holder.ts";
import { listListening, type Owners } from "./listening.ts";

/** A VM whose network nobody uses for this long gives its connector back. */
const IDLE_MS = 30_000;

/** Somebody may kill the connector; what it was asked for is asked of another. */
const MAX_TRIES = 3;

/** The way into one VM's network namespace. */
export class KernelNetwork implements SandboxNetwork {
  readonly #entry: Entry;
  readonly #procFd: number;
  readonly #kind: ConnectorKind | undefined;
  readonly #closed = new AbortController();
  readonly #sockets = new Set<Socket>();
  readonly #servers = new Set<Server>();
  readonly #owners: Owners = new Map();
  readonly #holders: Holders;
  #connector: Connector | undefined;
  #idle: NodeJS.Timeout | undefined;
  #connecting = 0;

  /** `kind` is for tests: each host has one that suits it best. */
  constructor(entry: Entry, procFd: number, kind?: ConnectorKind) {
    this.#entry = entry;
    this.#procFd = procFd;
    this.#kind = kind;
    this.#holders = new Holders(procFd, this.#closed.signal);
  }

  async connect(port: number, { family, signal }: ConnectOptions = {}): Promise<Socket> {
    const timeout = AbortSignal.timeout(CONNECT_TIMEOUT_MS);
    const given = signal === undefined ? [timeout] : [timeout, signal];
    if (this.#sockets.size + this.#connecting >= MAX_VM_CONNECTIONS) {
      throw limitExceeded("MAX_VM_CONNECTIONS", MAX_VM_CONNECTIONS, "Too many connections into the VM");
    }
    this.#connecting += 1;
    try {
      const socket = await this.#connect(port, family, AbortSignal.any([...given, this.#closed.signal]));
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
      return socket.setNoDelay(true);
    } catch (error) {
      if (error === timeout.reason) throw refused("ETIMEDOUT", family, port);
      if (error instanceof SocketRefused) throw refused(codeOf(error.errno), family, port);
      throw error;
    } finally {
      this.#connecting -= 1;
    }
  }

  async #connect(port: number, family: 4 | 6 | undefined, signal: AbortSignal): Promise<Socket> {
    try {
      return await this.#ask((connector) => connector.connect(family ?? 4, port, signal));
    } catch (error) {
      if (family !== undefined || !(error instanceof SocketRefused)) throw error;
      // It may listen on ::1 alone; where it does not either, the first answer is the one to tell.
      return await this.#ask((connector) => connector.connect(6, port, signal)).catch((second: unknown) => {
        throw second instanceof SocketRefused ? error : second;
      });
    }
  }

  async listen(): Promise<Server> {
    const server = await this.#ask((connector) => connector.listen(this.#closed.signal));
    this.#servers.add(server);
    server.once("close", () => this.#servers.delete(server));
    return server;
  }

  async listening(): Promise<ListeningSocket[]> {
    this.#closed.signal.throwIfAborted();
    const own = new Set([...this.#servers].map((server) => (server.address() as AddressInfo | null)?.port));
    const all = await listListening(this.#procFd, this.#owners, this.#closed.signal);
    return all.filter(({ port }) => !own.has(port));
  }

  async holderOf({ remoteAddress = "", remotePort = 0, localPort = 0 }: Socket): Promise<number | undefined> {
    if (this.#closed.signal.aborted) return undefined;
    return await this.#holders.find({ address: remoteAddress, port: remotePort, ownPort: localPort });
  }

  /** Cuts every connection into the VM. */
  async close(): Promise<void> {
    this.#closed.abort(vmStopped());
    clearTimeout(this.#idle);
    for (const socket of this.#sockets) socket.destroy();
    for (const server of this.#servers) server.close();
    await this.#connector?.close();
  }

  async #ask<Handle>(ask: (connector: Connector) => Promise<Handle>): Promise<Handle> {
    clearTimeout(this.#idle);
    for (let tries = 1; ; tries++) {
      this.#closed.signal.throwIfAborted();
      const connector = this.#current();
      try {
        return await ask(connector);
      } catch (error) {
        if (!(error instanceof ConnectorLost)) throw error;
        this.#closed.signal.throwIfAborted();
        if (tries === MAX_TRIES) {
          throw new AgentVmError("network_failed", `The VM's network cannot be reached: ${error.message}`);
        }
      } finally {
        this.#rest(connector);
      }
    }
  }

  #current(): Connector {
    if (this.#connector?.isUsable !== true) this.#connector = new Connector(this.#entry, this.#kind);
    return this.#connector;
  }

  #rest(connector: Connector): void {
    if (connector.busy > 0 || this.#closed.signal.aborted) return;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      if (connector.busy === 0) void connector.close();
    }, IDLE_MS).unref();
  }
}

function codeOf(errno: number): string {
  const found = Object.entries(constants.errno).find(([, number]) => number === errno);
  return found?.[0] ?? "EIO";
}

function refused(code: string, family: 4 | 6 | undefined, port: number): AgentVmError {
  const host = family === 6 ? "[::1]" : "127.0.0.1";
  return new AgentVmError(code, `${code}: connect ${host}:${port}`, { port });
}
