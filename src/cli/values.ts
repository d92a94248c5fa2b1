import { InvalidArgumentError } from "commander";

/** Units of times, in milliseconds. */
const TIMES: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Units of sizes, in bytes. */
const SIZES: Readonly<Record<string, number>> = { k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/** Reads a time such as `30s`. A number alone is seconds. @returns milliseconds */
export function duration(text: string): number {
  const [, amount, unit = "s"] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text) ?? [];
  if (amount === undefined) throw new InvalidArgumentError("Expected a time such as 30s, 5m, 2h or 500ms.");
  return Math.round(Number(amount) * (TIMES[unit] ?? 1));
}

/** Reads a size such as `512M`. A number alone is bytes. */
export function size(text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)([kmgt])?(?:i?b)?$/i.exec(text) ?? [];
  if (amount === undefined) throw new InvalidArgumentError("Expected a size such as 512M or 2G.");
  return Math.round(Number(amount) * (unit === undefined ? 1 : (SIZES[unit.toLowerCase()] ?? 1)));
}

export function integer(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw noNumber(text);
  return Number(text);
}

export function number(text: string): number {
  if (!/^\d{1,15}(\.\d+)?$/.test(text)) throw noNumber(text);
  return Number(text);
}

function noNumber(text: string): Error {
  return new InvalidArgumentError(`Expected a number, got ${JSON.stringify(text)}.`);
}

/** Collects the values of an option that may be given more than once. */
export function list(text: string, before: string[] = []): string[] {
  return [...before, text];
}

/** Collects `NAME=VALUE`. */
export function pairs(text: string, before: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("Expected NAME=VALUE.");
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/** Collects variables: `NAME=VALUE`, or `NAME` for the value that the variable has here. */
export function variables(text: string, before: Record<string, string> = {}): Record<string, string> {
  if (text.includes("=")) return pairs(text, before);
  const value = process.env[text];
  if (text === "" || value === undefined)
    throw new InvalidArgumentError(`The variable ${text} is not set here.`);
  return { ...before, [text]: value };
}
