import type { ServerResponse } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { type Answer, piecesOf } from "./script.ts";

let ids = 0;

/** Makes an id that is unique in this process. */
export function freshId(prefix: string): string {
  return `${prefix}_${++ids}`;
}

/** Server-sent events of one answer. */
export class EventStream {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  }

  send(data: unknown, name?: string): void {
    this.#response.write(`${name === undefined ? "" : `event: ${name}\n`}data: ${JSON.stringify(data)}\n\n`);
  }

  /** Sends the pieces of a text, with a pause after each. @returns `false` if the agent has hung up */
  async pieces(answer: Extract<Answer, { text: string }>, send: (piece: string) => void): Promise<boolean> {
    for (const piece of piecesOf(answer.text)) {
      if (this.#response.destroyed) return false;
      send(piece);
      if (answer.pauseMs > 0) await pause(answer.pauseMs);
    }
    return true;
  }

  end(last = ""): void {
    this.#response.end(last);
  }
}

export function sendJson(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}
