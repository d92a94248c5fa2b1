import type { Encoding } from "./config.ts";
import { RivetError } from "./errors.ts";
import { decodeMessage, encodeMessage, type ToClient } from "./messages.ts";
import type { ActionRequest, ActorConnStatus, RawConnection } from "./raw.ts";

interface PendingAction {
  resolve(output: unknown): void;
  reject(error: Error): void;
}

/** Opens the socket of a connection. */
export interface SocketSource {
  encoding: Encoding;
  open(): Promise<WebSocket>;
  /** Receives an error that may mean that the actor's id is out of date. @returns whether another attempt may succeed */
  isStale(error: RivetError): boolean;
  /** Adds details to an error of an actor that did not start. */
  explain(error: RivetError): Promise<RivetError>;
}

/** Close code of a connection that its owner closes. */
const CLOSE_CODE = 1000;

/** A connection to an actor over one socket, in RivetKit's protocol. */
export class RivetConnection implements RawConnection {
  readonly #source: SocketSource;
  readonly #pending = new Map<number, PendingAction>();
  readonly #callbacks = new Map<string, Set<(...args: unknown[]) => void>>();
  #socket: WebSocket | undefined;
  #status: "connecting" | "connected" | "disconnected" = "connecting";
  #isDisposed = false;
  #lastId = 0;
  #onError: (error: Error) => void = () => undefined;
  #onStatusChange: (status: ActorConnStatus, reason?: Error) => void = () => undefined;
  actorId: string | undefined;
  connId: string | undefined;

  constructor(source: SocketSource) {
    this.#source = source;
    void this.#open({ mayRepeat: true });
  }

  async action({ name, args }: ActionRequest): Promise<unknown> {
    if (this.#status !== "connected") throw new Error("There is no connection");
    this.#lastId += 1;
    const id = this.#lastId;
    const message = encodeMessage(this.#source.encoding, { tag: "ActionRequest", val: { id, name, args } });
    return await new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#socket?.send(message);
    });
  }

  on(event: string, callback: (...args: unknown[]) => void): () => void {
    const callbacks = this.#callbacks.get(event) ?? new Set();
    if (callbacks.size === 0) {
      this.#callbacks.set(event, callbacks);
      this.#setSubscription(event, "on");
    }
    callbacks.add(callback);
    return () => {
      if (!callbacks.delete(callback) || callbacks.size > 0) return;
      this.#callbacks.delete(event);
      this.#setSubscription(event, "off");
    };
  }

  onError(callback: (error: Error) => void): void {
    this.#onError = callback;
  }

  onStatusChange(callback: (status: ActorConnStatus, reason?: Error) => void): void {
    this.#onStatusChange = callback;
  }

  /** Resolves when the socket has closed. */
  async dispose(): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#status = "disconnected";
    this.#fail(new Error("The connection was disposed"));
    const socket = this.#socket;
    if (!socket || socket.readyState === socket.CLOSED) return;
    const closed = new Promise((resolve) => socket.addEventListener("close", resolve, { once: true }));
    socket.close(CLOSE_CODE, "Disposed");
    await closed;
  }

  /** @param options `mayRepeat`: whether to look up the actor once more if its id is out of date */
  async #open({ mayRepeat }: { mayRepeat: boolean }): Promise<void> {
    let socket: WebSocket;
    try {
      socket = await this.#source.open();
    } catch (error) {
      this.#end(error as Error);
      return;
    }
    this.#socket = socket;
    // The event `close` follows. The package `ws` also reports an early close as an error.
    socket.addEventListener("error", () => undefined);
    if (this.#isDisposed) {
      socket.close(CLOSE_CODE, "Disposed");
      return;
    }
    socket.addEventListener("message", ({ data }) => this.#receive(data));
    socket.addEventListener("close", ({ reason }) => {
      const error = errorOf(reason);
      const isStale = error !== undefined && this.#source.isStale(error);
      if (isStale && mayRepeat && this.#status === "connecting") void this.#open({ mayRepeat: false });
      else void this.#closed(error);
    });
  }

  async #closed(error: RivetError | undefined): Promise<void> {
    this.#end(error && (await this.#source.explain(error)));
  }

  #receive(data: unknown): void {
    if (this.#isDisposed) return;
    let message: ToClient;
    try {
      message = decodeMessage(
        this.#source.encoding,
        typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer),
      );
    } catch (error) {
      // Nothing can be known of later messages.
      this.#socket?.close();
      this.#end(error as Error);
      return;
    }
    if (message.tag === "Init") this.#opened(message.val);
    else if (message.tag === "ActionResponse") this.#take(message.val.id)?.resolve(message.val.output);
    else if (message.tag === "Event") {
      for (const callback of [...(this.#callbacks.get(message.val.name) ?? [])])
        callback(...message.val.args);
    } else if (message.tag === "Error") {
      const { group, code, message: text, metadata, actionId } = message.val;
      const error = new RivetError(group, code, text, metadata);
      this.#source.isStale(error);
      if (actionId !== undefined && actionId !== null) this.#take(actionId)?.reject(error);
      else {
        // The message that the error answers may be any.
        this.#fail(error);
        this.#onError(error);
      }
    }
  }

  #opened({ actorId, connectionId }: { actorId: string; connectionId: string }): void {
    if (this.#status !== "connecting") return;
    this.actorId = actorId;
    this.connId = connectionId;
    this.#status = "connected";
    for (const event of this.#callbacks.keys()) this.#setSubscription(event, "on");
    this.#onStatusChange("connected");
  }

  /** @param error the reason, if the server has given one */
  #end(error: Error | undefined): void {
    if (this.#isDisposed || this.#status === "disconnected") return;
    this.#status = "disconnected";
    this.#fail(error ?? new Error("The connection was lost"));
    this.#onStatusChange("disconnected", error);
  }

  #take(id: number | bigint): PendingAction | undefined {
    const action = this.#pending.get(Number(id));
    this.#pending.delete(Number(id));
    return action;
  }

  #fail(error: Error): void {
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }

  #setSubscription(eventName: string, state: "on" | "off"): void {
    if (this.#status !== "connected" || this.#socket?.readyState !== this.#socket?.OPEN) return;
    const val = { eventName, subscribe: state === "on" };
    this.#socket?.send(encodeMessage(this.#source.encoding, { tag: "SubscriptionRequest", val }));
  }
}

/** Reads the reason for which the server has closed a socket: `group.code#id`. */
function errorOf(reason: string): RivetError | undefined {
  const [group, code] = (reason.split("#")[0] ?? "").split(".");
  if (!group || !code) return undefined;
  return new RivetError(group, code, `Connection closed: ${reason}`);
}

/** Opens a WebSocket, with the package `ws` on a Node without its own WebSocket. */
export async function openSocket(url: string, protocols: string[]): Promise<WebSocket> {
  const Socket = globalThis.WebSocket ?? ((await import("ws")).default as unknown as typeof WebSocket);
  const socket = new Socket(url, protocols);
  socket.binaryType = "arraybuffer";
  return socket;
}
