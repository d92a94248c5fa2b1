import type { Socket as DatagramSocket } from "node:dgram";
import type { Server, Socket } from "node:net";
import { constants } from "node:os";
import { AgentVmError, limitExceeded, type PosixCode, vmStopped } from "../../../../api/errors.ts";
import type { VmPort } from "../../../../api/methods/network.ts";
import { EndSignal } from "../../../../base/end-signal.ts";
import { unlessAborted } from "../../../../base/within.ts";
import type { HostCall } from "../../host-call.ts";
import type { ConnectOptions, Interception, Reach, SandboxNetwork } from "../../network.ts";
import { codeOfErrno } from "../../posix.ts";
import type { Entry } from "../commands/command.ts";
import { HelperLost } from "../helpers/helper-process.ts";
import { OnDemand } from "../helpers/on-demand.ts";
import { CONNECT_TIMEOUT_MS, MAX_VM_CONNECTIONS } from "../limits.ts";
import type { ProcessReads } from "../procfs/process-reads.ts";
import { AcceptRate } from "./accept-rate.ts";
import { ConnectionOwners } from "./connection-owner.ts";
import { Connector, SocketRefused } from "./connector.ts";
import { openGateway } from "./gateway.ts";
import { CALL_NAME, takeCalls } from "./host-calls.ts";
import { interceptionSupport } from "./interception-support.ts";
import { intercept } from "./interceptor.ts";
import { countSockets, listListening, type Owners } from "./listening.ts";
import { addressOf, Passed } from "./passed-sockets.ts";

/**
 * Time for a connector to make a socket that listens, or takes datagrams.
 * @unit ms
 * @past The server ends the connector, and the request fails.
 * @code network_failed
 */
const SOCKET_TIMEOUT_MS = 30_000;

/** Tries of a request. Each try after the first uses a new connector, because the last one died or did not start. */
const MAX_TRIES = 3;

/** Connections into the network namespace of one VM. */
export class KernelNetwork implements SandboxNetwork {
  readonly #entry: Entry;
  readonly #procFd: number;
  readonly #reads: ProcessReads;
  readonly #connectors: OnDemand<Connector>;
  readonly #closed = new AbortController();
  readonly #sockets = new Set<Socket>();
  readonly #servers = new Set<Server>();
  /** Sockets of the server in the VM that may listen before the server has them. */
  readonly #opening = new Set<Promise<unknown>>();
  #passed: Passed | undefined;
  readonly #owners: Owners = new Map();
  readonly #connectionOwners: ConnectionOwners;
  readonly #dialPath: (path: string) => Promise<Socket>;
  #connecting = 0;

  /** @param dialPath connects to a Unix socket in the VM's files */
  constructor(
    entry: Entry,
    { procFd, reads }: { procFd: number; reads: ProcessReads },
    dialPath: (path: string) => Promise<Socket>,
  ) {
    this.#dialPath = dialPath;
    this.#reads = reads;
    this.#entry = entry;
    this.#procFd = procFd;
    this.#connectors = new OnDemand(() => Connector.start(entry, this.#closed.signal), MAX_TRIES);
    this.#connectionOwners = new ConnectionOwners(procFd, this.#closed.signal);
  }

  /** Open connections of the server into the VM, and their limit. */
  get connections(): { used: number; limit: number } {
    return { used: this.#sockets.size, limit: MAX_VM_CONNECTIONS };
  }

  async connect(port: number, { family, signal }: ConnectOptions = {}): Promise<Socket> {
    const end = new EndSignal([signal, this.#closed.signal]);
    end.after(CONNECT_TIMEOUT_MS, () => refused("ETIMEDOUT", family, port));
    try {
      const open = (ends: AbortSignal) => this.#keep(() => this.#connect(port, family, ends));
      return (await end.during(open)).setNoDelay(true);
    } catch (error) {
      if (error instanceof SocketRefused) throw refused(codeOfErrno(error.errno), family, port);
      throw error;
    }
  }

  async connectAt(path: string): Promise<Socket> {
    this.#closed.signal.throwIfAborted();
    return await this.#keep(() => this.#dialPath(path));
  }

  /** Opens a connection, counts it, and cuts it with the VM. */
  async #keep(open: () => Promise<Socket>): Promise<Socket> {
    if (this.#sockets.size + this.#connecting >= MAX_VM_CONNECTIONS) {
      throw limitExceeded(
        { MAX_VM_CONNECTIONS },
        "Connection limit of the VM reached",
        "Close a connection first.",
      );
    }
    this.#connecting += 1;
    try {
      const socket = await open();
      if (this.#closed.signal.aborted) socket.destroy();
      this.#closed.signal.throwIfAborted();
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
      return socket;
    } finally {
      this.#connecting -= 1;
    }
  }

  async #connect(port: number, family: 4 | 6 | undefined, signal: AbortSignal): Promise<Socket> {
    try {
      return await this.#reach(family ?? 4, port, signal);
    } catch (error) {
      if (family !== undefined || !(error instanceof SocketRefused)) throw error;
      // Nothing on 127.0.0.1: try ::1, and if that fails too, report the IPv4 error.
      return await this.#reach(6, port, signal).catch((second: unknown) => {
        throw second instanceof SocketRefused ? error : second;
      });
    }
  }

  /** Connects to a program of the VM. A client that reached the server's proxy there would go out with the VM's secrets. */
  async #reach(family: 4 | 6, port: number, signal: AbortSignal): Promise<Socket> {
    if (this.#isOwn(family, port)) throw new SocketRefused(constants.errno.ECONNREFUSED);
    const socket = await this.#ask((connector) => connector.connect(family, port, signal));
    await unlessAborted(Promise.allSettled(this.#opening), signal).catch((error: unknown) => {
      socket.destroy();
      throw error;
    });
    if (!this.#isOwn(family, port)) return socket;
    socket.destroy();
    throw new SocketRefused(constants.errno.ECONNREFUSED);
  }

  async listen(wanted: number): Promise<Server> {
    const listen = (port: number) => this.#askInTime((connector, signal) => connector.listen(port, signal));
    return await this.#whileOpening(async () => {
      const server = await listen(wanted).catch((error: unknown) => {
        if (!(error instanceof SocketRefused)) throw error;
        return listen(0);
      });
      new AcceptRate().add(server);
      this.#servers.add(server);
      server.once("close", () => this.#servers.delete(server));
      return server;
    });
  }

  async #whileOpening<Opened>(open: () => Promise<Opened>): Promise<Opened> {
    const opening = open();
    this.#opening.add(opening);
    try {
      return await opening;
    } finally {
      this.#opening.delete(opening);
    }
  }

  /** Returns whether the server itself listens at a port of the VM's loopback. */
  #isOwn(family: 4 | 6, port: number): boolean {
    return this.#ownSockets().has(`${family === 6 ? "::1" : "127.0.0.1"} ${port}`);
  }

  /** Returns the addresses with ports at which the server listens on the VM's loopback. A gateway's are in another namespace. */
  #ownSockets(): Set<string> {
    const sockets = [...this.#servers, ...(this.#passed?.connections ?? [])].map(addressOf);
    return new Set(
      sockets
        .filter(({ address }) => /^(127\.|::1$)/.test(address))
        .map((one) => `${one.address} ${one.port}`),
    );
  }

  async takeDatagrams(port: number, signal: AbortSignal): Promise<DatagramSocket> {
    const socket = await this.#askInTime((connector, limit) => connector.takeDatagrams(port, limit), signal);
    const end = new EndSignal([signal, this.#closed.signal]);
    socket.once("close", () => end.release());
    if (end.signal.aborted) socket.close();
    end.signal.throwIfAborted();
    end.signal.addEventListener("abort", () => socket.close(), { once: true });
    return socket;
  }

  async acceptCalls(onCall: (call: HostCall) => void): Promise<() => void> {
    const { signal } = this.#closed;
    const server = await this.#askInTime((connector, limit) => connector.listenAt(CALL_NAME, limit)).catch(
      (error: unknown) => {
        if (!(error instanceof SocketRefused)) throw error;
        throw new AgentVmError("network_failed", `The VM's programs cannot call: errno ${error.errno}`);
      },
    );
    new AcceptRate().add(server);
    return takeCalls(server, signal, onCall);
  }

  async intercept(port: number, reach: Reach, onConnection: (socket: Socket) => void): Promise<Interception> {
    const { way, description } = await interceptionSupport();
    if (way === undefined) throw new AgentVmError("network_failed", description);
    return await this.#whileOpening(() => this.#intercept(way, port, reach, onConnection));
  }

  async #intercept(
    way: "gateway" | "redirection",
    port: number,
    reach: Reach,
    onConnection: (socket: Socket) => void,
  ): Promise<Interception> {
    const { signal } = this.#closed;
    for (let tries = 1; ; tries++) {
      const passed = new Passed(onConnection);
      try {
        const interception =
          way === "gateway"
            ? await openGateway(this.#entry, reach, passed, signal)
            : await intercept(this.#entry, port, reach, passed, signal);
        signal.throwIfAborted();
        this.#passed = passed;
        return interception;
      } catch (error) {
        passed.close();
        if (!(error instanceof HelperLost) || tries === MAX_TRIES) throw error;
      }
    }
  }

  async listening(): Promise<VmPort[]> {
    this.#closed.signal.throwIfAborted();
    const own = this.#ownSockets();
    const count = countSockets(this.#procFd);
    if (count !== undefined && count <= own.size) return [];
    const all = await listListening(this.#procFd, this.#owners, this.#reads, this.#closed.signal);
    return all.filter(({ address, port }) => !own.has(`${address} ${port}`));
  }

  async ownerOf({
    remoteAddress = "",
    remotePort = 0,
    localAddress = "",
    localPort = 0,
  }: Socket): Promise<number | undefined> {
    if (this.#closed.signal.aborted) return undefined;
    return await this.#connectionOwners.find({
      address: remoteAddress,
      port: remotePort,
      ownAddress: localAddress,
      ownPort: localPort,
    });
  }

  /** Starts the connector ahead of the first connection. @returns a function to call when connections may come */
  async warm(): Promise<() => void> {
    await this.#connectors.warm();
    return () => this.#connectors.rest();
  }

  /** Cuts every connection into the VM. */
  async close(): Promise<void> {
    this.#closed.abort(vmStopped());
    for (const socket of this.#sockets) socket.destroy();
    for (const server of this.#servers) server.close();
    this.#passed?.close();
    await this.#connectors.close();
  }

  /** Asks for a socket that the kernel makes at once. */
  async #askInTime<Handle>(
    ask: (connector: Connector, signal: AbortSignal) => Promise<Handle>,
    signal?: AbortSignal,
  ): Promise<Handle> {
    const late = unreachable(`no socket within ${SOCKET_TIMEOUT_MS} ms`);
    const end = new EndSignal([signal, this.#closed.signal]).after(SOCKET_TIMEOUT_MS, () => late);
    const limit = end.signal;
    const asking = this.#ask(async (connector) => {
      // A connector that has started late may still be a good one.
      limit.throwIfAborted();
      // The next request gets another one.
      const replace = () => void (limit.reason === late && connector.close());
      return await ask(connector, limit).finally(replace);
    });
    return await end.during(() => unlessAborted(asking, limit));
  }

  async #ask<Handle>(ask: (connector: Connector) => Promise<Handle>): Promise<Handle> {
    try {
      return await this.#connectors.use(ask);
    } catch (error) {
      if (!(error instanceof HelperLost)) throw error;
      throw unreachable(error.message);
    }
  }
}

function unreachable(detail: string): AgentVmError {
  return new AgentVmError("network_failed", `The VM's network cannot be reached: ${detail}`);
}

function refused(code: PosixCode, family: 4 | 6 | undefined, port: number): AgentVmError {
  const host = family === 6 ? "[::1]" : "127.0.0.1";
  return new AgentVmError(code, `${code}: connect ${host}:${port}`, { port });
}
