import { StringDecoder } from "node:string_decoder";

/** Size of a terminal. */
interface Size {
  cols: number;
  rows: number;
}

/** Returns the first line of a recording in the format asciicast v2. */
export function castHeader({ cols, rows }: Size, command: string, startedAt: number): string {
  const header = {
    version: 2,
    width: cols,
    height: rows,
    timestamp: Math.floor(startedAt / 1000),
    command,
    env: { TERM: "xterm-256color" },
  };
  return `${JSON.stringify(header)}\n`;
}

/** Returns the line of an event: `o` is output, `r` a change of the size. */
export function castEvent(ms: number, kind: "o" | "r", data: string): string {
  return `[${(ms / 1000).toFixed(6)}, "${kind}", ${JSON.stringify(data)}]\n`;
}

/** UTF-16 units of the text of one event. JSON makes at most six bytes of each. */
const MAX_EVENT_UNITS = 8 * 1024;

/** Cuts output into the texts of events, between two characters. */
export function* textsOf(output: string): Generator<string> {
  for (let start = 0, end = 0; start < output.length; start = end) {
    end = start + MAX_EVENT_UNITS;
    // A low surrogate belongs to the unit before it.
    if ((output.charCodeAt(end) & 0xfc00) === 0xdc00) end -= 1;
    yield output.slice(start, end);
  }
}

/** Makes text out of output. A character that is split over two pieces of output stays whole. */
export class CastText {
  readonly #decoders = new Map<string, StringDecoder>();
  readonly #isTerminal: boolean;

  /** @param isTerminal lines of a terminal end with CR LF. Lines of a pipe do not, and would form a staircase */
  constructor(isTerminal: boolean) {
    this.#isTerminal = isTerminal;
  }

  of(stream: string, data: Uint8Array): string {
    let decoder = this.#decoders.get(stream);
    if (decoder === undefined) {
      decoder = new StringDecoder("utf8");
      this.#decoders.set(stream, decoder);
    }
    const text = decoder.write(Buffer.from(data));
    return this.#isTerminal ? text : text.replaceAll("\n", "\r\n");
  }
}
