import type { EventEmitter } from "node:events";
import { createRequire } from "node:module";

/** What tests use of a client of the package `ws`, which does more than a browser's WebSocket: pings, pieces. */
export interface WsClient extends EventEmitter {
  readonly bufferedAmount: number;
  send(data: string | Uint8Array, options?: { fin?: boolean }): void;
  ping(data: string): void;
  close(): void;
}

interface WsModule {
  WebSocket: new (url: string) => WsClient;
}

const { WebSocket } = createRequire(import.meta.url)("ws") as WsModule;

export function wsClient(url: string): WsClient {
  return new WebSocket(url);
}
