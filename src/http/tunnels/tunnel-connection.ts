import { randomUUID } from "node:crypto";
import type { WebSocket } from "ws";
import {
  AgentVmError,
  actorNotFound,
  connectionLost,
  invalidArgument,
  limitExceeded,
} from "../../api/errors.ts";
import { errorBody } from "../../base/mux/error-body.ts";
import { encodeMuxFrame, FRAME } from "../../base/mux/frames.ts";
import { joinSocket, resetSocket } from "../../base/mux/join.ts";
import { Mux } from "../../base/mux/mux.ts";
import type { MuxStream } from "../../base/mux/stream.ts";
import type { AuditActor } from "../../monitoring/audit.ts";
import { assertNotDraining } from "../../monitoring/draining.ts";
import { errorOf } from "../../rivet/user-error.ts";
import type { VisitedVm } from "../actor-visits.ts";
import { MAX_TUNNEL_CONNECTIONS, TUNNEL_IDLE_MS, TUNNEL_PING_MS } from "../limits.ts";
import { StreamSocket } from "./stream-socket.ts";
import { parseTunnelRequest, type TunnelRequest } from "./tunnel-request.ts";
import type { Tunnels } from "./tunnels.ts";
import type { Hold } from "./waiting-bytes.ts";

/** Close code of a tunnel whose client breaks the protocol (RFC 6455). */
const VIOLATION = 1008;
const NORMAL = 1000;
const INTERNAL = 1011;

export interface TunnelConnectionDeps {
  actorId: string;
  who: AuditActor;
  tunnels: Tunnels;
  /** Whether the VM exists. */
  exists(): boolean;
  /** Wakes the VM and lets it serve. @throws AgentVmError if it does not wake */
  visit(work: (visited: VisitedVm) => Promise<void>): Promise<void>;
}

/** A client's WebSocket with its connections into a VM, and from the VM to the services that the client offers. */
export class TunnelConnection {
  readonly id = randomUUID();
  /** Resolves when the WebSocket has closed. */
  readonly closed: Promise<void>;
  readonly #socket: WebSocket;
  readonly #deps: TunnelConnectionDeps;
  readonly #mux: Mux;
  /** Streams whose VM is being reached. Streams that the client has reset count too. */
  #serving = 0;
  #idleSince = performance.now();
  #isAlive = true;

  constructor(socket: WebSocket, deps: TunnelConnectionDeps) {
    this.#socket = socket;
    this.#deps = deps;
    const mux = new Mux(
      "server",
      {
        send: (message) => socket.send(message, () => mux.drained()),
        waiting: () => socket.bufferedAmount,
      },
      { onOpen: (stream) => void this.#serve(stream) },
    );
    this.#mux = mux;
    socket.on("message", (message: Buffer | ArrayBuffer, isBinary: boolean) => {
      try {
        if (!isBinary) throw new Error("a message is text");
        mux.receive(message instanceof ArrayBuffer ? new Uint8Array(message) : message);
      } catch {
        this.end(invalidArgument("message", "a frame of a tunnel", "another message"), VIOLATION);
      }
    });
    socket.on("pong", () => {
      this.#isAlive = true;
    });
    socket.on("error", () => socket.terminate());
    const timer = setInterval(() => this.#look(), TUNNEL_PING_MS).unref();
    this.closed = new Promise((resolve) =>
      socket.once("close", () => {
        clearInterval(timer);
        mux.end(connectionLost("The client has gone"));
        resolve();
      }),
    );
  }

  /** Ends all streams, tells the client why, and closes. */
  end(error: AgentVmError, code = INTERNAL): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#socket.send(encodeMuxFrame(FRAME.reset, 0, errorBody(error)));
    this.#mux.end(error);
    this.#socket.close(code, error.code);
  }

  /** Cuts a client that has gone, and closes a tunnel that nobody uses. */
  #look(): void {
    if (!this.#isAlive) return void this.#socket.terminate();
    if (!this.#deps.exists()) return void this.end(actorNotFound(this.#deps.actorId));
    if (this.#mux.size > 0) this.#idleSince = performance.now();
    else if (performance.now() - this.#idleSince >= TUNNEL_IDLE_MS)
      return void this.#socket.close(NORMAL, "idle");
    this.#isAlive = false;
    this.#socket.ping();
  }

  async #serve(stream: MuxStream): Promise<void> {
    this.#idleSince = performance.now();
    // Streams that the client has reset leave the table at once, and their work a moment later.
    if (this.#mux.size > MAX_TUNNEL_CONNECTIONS || this.#serving >= MAX_TUNNEL_CONNECTIONS)
      return stream.reset(tooMany());
    this.#serving += 1;
    try {
      assertNotDraining();
      const wanted = parseTunnelRequest(stream.body);
      const gone = new AbortController();
      stream.onClosed = () => gone.abort();
      await this.#deps.visit(async (visited) => {
        try {
          if ("offer" in wanted) await this.#offer(stream, wanted.offer, visited);
          else await this.#connect(stream, wanted, visited, gone.signal);
        } catch (error) {
          // A client that has gone ends the work with an error of its own.
          if (!stream.isClosed) stream.reset(shown(error, visited.monitor));
        }
      });
    } catch (error) {
      stream.reset(error as AgentVmError);
    } finally {
      this.#serving -= 1;
    }
  }

  /** Connects a stream to a server inside. Resolves when the connection has ended. */
  async #connect(
    stream: MuxStream,
    wanted: Exclude<TunnelRequest, { offer: unknown }>,
    { vm, monitor }: VisitedVm,
    gone: AbortSignal,
  ): Promise<void> {
    const startedAt = performance.now();
    const target = "port" in wanted ? String(wanted.port) : wanted.socketPath;
    const note = (error?: ReturnType<typeof errorOf>) =>
      monitor.called({
        who: this.#deps.who,
        method: "tunnel",
        names: ["target"],
        args: [target],
        error,
        ms: performance.now() - startedAt,
      });
    try {
      const socket = await vm.openTunnel(wanted, gone);
      note();
      stream.accept();
      const broken = ({ message }: Error) => connectionLost(`The connection to ${target} broke: ${message}`);
      await joinSocket(
        stream,
        socket,
        broken,
        this.#holdOf(stream, () => socket),
      );
    } catch (error) {
      note(errorOf(error));
      throw error;
    }
  }

  /** Offers a service of the client inside. The stream stands for the offer. */
  async #offer(
    stream: MuxStream,
    { host, port }: { host: string; port: number },
    { vm }: VisitedVm,
  ): Promise<void> {
    await vm.mayOffer(host, port);
    if (stream.isClosed) return;
    const { actorId, tunnels } = this.#deps;
    stream.onClosed = tunnels.offer(actorId, host, port, (signal) => this.#openBack(stream.id, signal));
    stream.onData = () => stream.reset();
    stream.onEnd = () => stream.reset();
    stream.accept();
  }

  /** Opens a connection from inside to a service of the client. */
  async #openBack(offer: number, signal: AbortSignal): Promise<StreamSocket> {
    if (this.#mux.size >= MAX_TUNNEL_CONNECTIONS) throw tooMany();
    const stream = this.#mux.open({ offer });
    try {
      await new Promise<void>((resolve, reject) => {
        stream.onOpened = resolve;
        stream.onClosed = (_wasReset, error) =>
          reject(
            new Error(`the client cannot reach its service${error === undefined ? "" : `: ${error.code}`}`),
          );
        signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      });
    } catch (error) {
      stream.reset();
      throw error;
    }
    const socket: StreamSocket = new StreamSocket(
      stream,
      this.#holdOf(stream, () => socket),
    );
    return socket;
  }

  /** Makes the counter of the bytes that wait for a socket. A cut frees them, also after the stream has ended in both directions. */
  #holdOf(stream: MuxStream, socketOf: () => Parameters<typeof resetSocket>[0]): Hold {
    const { actorId, tunnels } = this.#deps;
    return tunnels.waiting.of(actorId, this, (error) => {
      stream.reset(error);
      resetSocket(socketOf());
    });
  }
}

function tooMany(): AgentVmError {
  return limitExceeded(
    { MAX_TUNNEL_CONNECTIONS },
    "Connection limit of the tunnel reached",
    "Close a connection first.",
  );
}

/** Returns an error that a client may see. */
function shown(error: unknown, { log }: VisitedVm["monitor"]): AgentVmError {
  if (error instanceof AgentVmError) return error;
  log.error({ msg: "internal error", action: "tunnel", err: error });
  return new AgentVmError("internal_error", "The server failed to connect");
}
