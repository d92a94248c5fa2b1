import type { ActorConnStatus } from "rivetkit/client";
import type { ActionRequest } from "./types.ts";

/** RivetKit's connection, as far as it is used. */
export interface RawConnection {
  action(request: ActionRequest): Promise<unknown>;
  on(event: string, callback: (...args: unknown[]) => void): () => void;
  onError(callback: (error: Error) => void): () => void;
  onStatusChange(callback: (status: ActorConnStatus) => void): () => void;
  dispose(): Promise<void>;
  readonly actorId: string | undefined;
  readonly connId: string | undefined;
}

/** RivetKit's handle, as far as it is used. */
export interface RawHandle {
  action(request: ActionRequest): Promise<unknown>;
  connect(): RawConnection;
  resolve(): Promise<string>;
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
  webSocket(path?: string, protocols?: string | string[]): Promise<unknown>;
  getGatewayUrl(): Promise<string>;
  send(queue: string, body: unknown, options?: object): Promise<unknown>;
}
