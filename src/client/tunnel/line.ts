import { AgentVmError, connectionLost } from "../../api/errors.ts";
import { deferred } from "../../base/deferred.ts";
import { Mux } from "../../base/mux/mux.ts";
import type { MuxStream } from "../../base/mux/stream.ts";
import { within } from "../../base/within.ts";
import { toAgentVmError } from "../rivet/errors.ts";
import type { RawHandle } from "../rivet/raw.ts";

/**
 * Time for a server to accept a tunnel, or for a VM to wake and take a connection.
 * @unit ms
 * @past The connection is refused.
 * @code connection_lost
 */
const OPEN_TIMEOUT_MS = 60_000;

/**
 * Time without a connection after which a tunnel closes its WebSocket.
 * @unit ms
 */
const LINGER_MS = 10_000;

/** Longest wait for the server when a tunnel closes, in milliseconds. */
const CLOSE_TIMEOUT_MS = 1_000;

const NORMAL = 1000;

/** Errors after which the client opens the WebSocket once more. */
const REPEATED: ReadonlySet<string> = new Set(["connection_lost", "actor_not_found", "vm_destroyed"]);

/** A WebSocket to a VM's server that carries the connections of a tunnel. It opens when a connection needs it. */
export class TunnelLine {
  readonly #raw: RawHandle;
  readonly #onOpen: (stream: MuxStream) => void;
  #opening: Promise<Mux> | undefined;
  #socket: WebSocket | undefined;
  #linger: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  /** @param onOpen takes connections that come from the VM */
  constructor(raw: RawHandle, onOpen: (stream: MuxStream) => void = (stream) => stream.reset()) {
    this.#raw = raw;
    this.#onOpen = onOpen;
  }

  /** Opens the WebSocket if it is not open. @throws AgentVmError if the server does not accept it */
  async open(): Promise<Mux> {
    if (this.#isClosed) throw connectionLost("The tunnel was closed");
    if (this.#opening !== undefined) return await this.#opening;
    const opening = this.#connect();
    this.#opening = opening;
    try {
      const mux = await opening;
      this.#closeLater(mux);
      return mux;
    } catch (error) {
      if (this.#opening === opening) this.#opening = undefined;
      throw error;
    }
  }

  /**
   * Opens a stream.
   *
   * @param opened takes the stream before its first bytes, which may come in the turn in which it is accepted
   * @throws AgentVmError if the server or the VM does not accept it
   */
  async openStream(what: unknown, opened: (stream: MuxStream) => void): Promise<void> {
    const mux = await this.open();
    const stream = mux.open(what);
    const accepted = deferred<void>();
    stream.onOpened = () => {
      accepted.resolve();
      opened(stream);
    };
    stream.onClosed = (_wasReset, error) => {
      accepted.reject(error ?? connectionLost("The server ended the connection"));
    };
    const timer = setTimeout(() => {
      stream.reset();
      // The server may be gone without a sign.
      this.#socket?.close();
    }, OPEN_TIMEOUT_MS);
    try {
      await accepted.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Closes the WebSocket. Resolves when it has closed, at most after a second. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#linger);
    const socket = this.#socket;
    if (socket === undefined || socket.readyState === socket.CLOSED) return;
    const { promise, resolve } = deferred<void>();
    socket.addEventListener("close", () => resolve());
    socket.close(NORMAL, "closed");
    await within(promise, CLOSE_TIMEOUT_MS);
  }

  async #connect(): Promise<Mux> {
    try {
      return await this.#accepted();
    } catch (error) {
      const reason = toAgentVmError(error);
      if (this.#isClosed) throw connectionLost("The tunnel was closed");
      // A browser does not say why a WebSocket failed. This request also looks a key up again whose VM is gone.
      await this.#raw.action({ name: "acknowledge", args: [[]] }).catch((second: unknown) => {
        throw toAgentVmError(second);
      });
      if (!REPEATED.has(reason.code)) throw reason;
      if (this.#isClosed) throw connectionLost("The tunnel was closed");
      // The server may have started between the two requests.
      return await this.#accepted().catch((second: unknown) => {
        const error = toAgentVmError(second);
        throw error.code === "connection_lost" ? noTunnels() : error;
      });
    }
  }

  /** Opens a WebSocket and waits until the server accepts it. */
  async #accepted(): Promise<Mux> {
    const socket = await this.#raw.openAt("/tunnel", []);
    const accepted = deferred<void>();
    let reason = connectionLost("The connection to the server was lost");
    const mux = new Mux(
      "client",
      // Credit bounds the bytes that wait.
      { send: (message) => socket.send(message), waiting: () => 0 },
      {
        onOpen: this.#onOpen,
        onAccepted: () => accepted.resolve(),
        onError: (error) => {
          reason = error;
        },
      },
    );
    socket.addEventListener("message", ({ data }) => {
      try {
        mux.receive(new Uint8Array(data as ArrayBuffer));
      } catch {
        socket.close();
      }
    });
    // The event `close` follows.
    socket.addEventListener("error", () => undefined);
    const timer = setTimeout(() => socket.close(), OPEN_TIMEOUT_MS);
    const over = () => {
      clearTimeout(timer);
      if (this.#socket === socket) this.#opening = undefined;
      mux.end(reason);
      accepted.reject(reason);
    };
    socket.addEventListener("close", over);
    this.#socket = socket;
    await accepted.promise;
    clearTimeout(timer);
    if (!this.#isClosed) return mux;
    socket.close(NORMAL, "closed");
    throw connectionLost("The tunnel was closed");
  }

  /** Closes the WebSocket some time after the last connection has ended. */
  #closeLater(mux: Mux): void {
    clearTimeout(this.#linger);
    this.#linger = setTimeout(() => {
      if (mux.size > 0) return this.#closeLater(mux);
      this.#opening = undefined;
      this.#socket?.close(NORMAL, "idle");
    }, LINGER_MS);
  }
}

function noTunnels(): AgentVmError {
  return new AgentVmError("not_supported", "The server takes no tunnels", {
    hint: "Update the server. If the endpoint is a Rivet Engine's gateway, use the address of a server with AGENT_VM_PEER_SECRET.",
  });
}
