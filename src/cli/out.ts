import process from "node:process";
import { styleText } from "node:util";
import { printable } from "../base/printable.ts";
import { type Column, layOut, separated } from "./table.ts";
import { write } from "./terminal/streams.ts";

/** Prints the results of a command: for people, or with `--json` as one JSON value or as lines of JSON. */
export class Out {
  readonly json: boolean;

  constructor(json: boolean) {
    this.json = json;
  }

  /** Prints a value as JSON, else its text for people. An empty text prints nothing. */
  async value(value: unknown, text: string): Promise<void> {
    if (this.json) await this.#line(jsonLine(value));
    else if (text !== "") await this.#line(printable(text));
  }

  /** Prints a list: one JSON array, a table on a terminal, or lines with tabs in a pipe. */
  async table<Row>(
    rows: readonly Row[],
    columns: readonly Column<Row>[],
    value: unknown = rows,
  ): Promise<void> {
    if (this.json) return await this.#line(jsonLine(value));
    if (!process.stdout.isTTY) {
      if (rows.length > 0) await this.#line(separated(rows, columns).join("\n"));
      return;
    }
    const [titles = "", ...lines] = layOut(rows, columns, process.stdout.columns);
    await this.#line([bold(titles), ...lines].join("\n"));
  }

  /** Prints names with their values: one JSON value, else one line each. */
  async facts(
    value: unknown,
    facts: readonly (readonly [name: string, value: string | number | null | undefined])[],
  ) {
    const width = Math.max(...facts.map(([name]) => name.length));
    const lines = facts.map(([name, text]) => `${name.padEnd(width)}  ${printable(String(text ?? "-"))}`);
    if (this.json) await this.#line(jsonLine(value));
    else await this.#line(lines.join("\n"));
  }

  /** Tells a person what was done. Silent in a script. */
  note(text: string): void {
    if (!this.json && process.stderr.isTTY) process.stderr.write(`${printable(text)}\n`);
  }

  /** Says on stderr that a part was not done. */
  warn(text: string): void {
    process.stderr.write(`agent-vm: ${printable(text)}\n`);
  }

  /** Prints bytes as they are. */
  async raw(data: string | Uint8Array): Promise<void> {
    await write(process.stdout, data);
  }

  async #line(text: string): Promise<void> {
    await write(process.stdout, `${text}\n`);
  }
}

export function bold(text: string): string {
  return styleText("bold", text, { stream: process.stdout });
}

/** Makes one line of JSON, without control characters. */
export function jsonLine(value: unknown): string {
  return printable(jsonText(value));
}

/** Writes a value as JSON. Bytes become base64, and large integers text. */
export function jsonText(value: unknown, indent?: number): string {
  const replacer = function (this: Record<string, unknown>, key: string, converted: unknown) {
    const given = this[key];
    if (typeof given === "bigint") return String(given);
    return given instanceof Uint8Array ? { base64: Buffer.from(given).toString("base64") } : converted;
  };
  return JSON.stringify(value, replacer, indent) ?? "null";
}

/** Escapes the control characters of a text, except line ends and tabs. */
export function printableText(text: string): string {
  return text.replace(/[^\n\t]+/g, printable);
}
