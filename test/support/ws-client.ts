import type { EventEmitter } from "node:events";
import { createRequire } from "node:module";

/** The part of a client of the package `ws` that tests use. It sends pings and pieces, unlike a browser's WebSocket. */
export interface WsClient extends EventEmitter {
  readonly bufferedAmount: number;
  send(data: string | Uint8Array, options?: { fin?: boolean }): void;
  ping(data: string): void;
  close(): void;
  terminate(): void;
}

interface WsOptions {
  /** The page that opens the connection, as a browser says. */
  origin?: string;
  headers?: Record<string, string>;
}

interface WsModule {
  WebSocket: new (url: string, protocols?: string[], options?: WsOptions) => WsClient;
}

const { WebSocket } = createRequire(import.meta.url)("ws") as WsModule;

export function wsClient(url: string, protocols: string[] = [], options: WsOptions = {}): WsClient {
  return new WebSocket(url, protocols, options);
}
