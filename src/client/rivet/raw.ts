import type { Download, DownloadRequest } from "./download.ts";

/**
 * State of a connection: `idle` (not connected), `connecting`, `connected`, or `disconnected`, which is followed by another
 * attempt.
 */
export type ActorConnStatus = "idle" | "connecting" | "connected" | "disconnected";

/** A call of an action by its name. */
export interface ActionRequest {
  /** Name of the action. */
  name: string;
  /** Arguments of the action. */
  args: unknown[];
  /** Stops waiting: the call rejects with the signal's reason. @default none */
  signal?: AbortSignal;
}

/** One connection to an actor, over one socket. It does not reconnect. */
export interface RawConnection {
  action(request: ActionRequest): Promise<unknown>;
  on(event: string, callback: (...args: unknown[]) => void): () => void;
  /** Sets the callback for errors that no call receives and that leave the connection open. */
  onError(callback: (error: Error) => void): void;
  /**
   * Sets the callback for `connected`, and for `disconnected`, after which nothing follows. `reason` is the server's
   * reason for the end, if it has given one.
   */
  onStatusChange(callback: (status: ActorConnStatus, reason?: Error) => void): void;
  dispose(): Promise<void>;
  readonly actorId: string | undefined;
  readonly connId: string | undefined;
}

/** Options of a message for a queue of an actor. */
export interface QueueOptions {
  /** Waits until the actor has completed the message. @default false */
  wait?: boolean;
  /** Longest wait, in milliseconds. @default none */
  timeout?: number;
  /** Stops waiting. @default none */
  signal?: AbortSignal;
}

/** An actor by its key or id. */
export interface RawHandle {
  /** Calls an action by its name. */
  action(request: ActionRequest): Promise<unknown>;
  /** Opens a connection. */
  connect(): RawConnection;
  /** Returns the actor's id, which `getForId` takes. */
  resolve(): Promise<string>;
  /** Returns why the actor has not started, if a Rivet Engine knows it. Never rejects. */
  startFailure?(): Promise<unknown>;
  /** Sends an HTTP request to the actor. A VM's actor answers only previews: `/fetch/TOKEN` and paths below. */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /** Asks the actor for bytes. @param path path and query below the actor */
  download(path: string, options: Pick<DownloadRequest, "signal" | "room">): Promise<Download>;
  /** Opens a WebSocket to the actor. A VM's actor answers nothing on it: see `vmWebSocket`. */
  webSocket(path?: string, protocols?: string | string[]): Promise<WebSocket>;
  /** Opens a WebSocket to a path of this server behind the actor's gateway URL. A token among the parameters replaces the client's. */
  openAt(path: string, protocols: string[]): Promise<WebSocket>;
  /** Returns the URL of the actor on the server. It contains the token, if the client has one. */
  getGatewayUrl(): Promise<string>;
  /** Sends a message to a queue of the actor. */
  send(name: string, body: unknown, options?: QueueOptions): Promise<unknown>;
}
