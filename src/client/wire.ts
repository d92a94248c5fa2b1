import { AgentVmError, argumentsTooLarge, tooManyValues } from "../api/errors.ts";
import { MAX_CALL_DEPTH, MAX_RESULT_BYTES } from "../api/limits.ts";
import { isDecodable, wireSize } from "../api/size.ts";

/** A value that cannot cross the wire. */
interface Uncrossable {
  what: string;
  hint?: string;
  /** Keys that lead to the value, outermost last. */
  keys: PropertyKey[];
}

/**
 * Refuses arguments that cannot cross the wire. RivetKit's encoder fails on them silently, and the call would never end.
 *
 * @returns their size in bytes
 * @throws AgentVmError `invalid_argument`
 */
export function checkArguments(action: string, args: readonly unknown[]): number {
  checkCrossing(action, args);
  if (!isDecodable(args)) throw tooManyValues();
  const bytes = wireSize(args);
  if (bytes > MAX_RESULT_BYTES) throw argumentsTooLarge(action, bytes, MAX_RESULT_BYTES);
  return bytes;
}

/** Refuses values that cannot cross the wire, whatever their size. @throws AgentVmError `invalid_argument` */
export function checkCrossing(action: string, args: readonly unknown[]): void {
  const found = uncrossableIn(args, []);
  if (found) {
    const [position, ...inner] = found.keys.reverse();
    const place = [Number(position) + 1, ...inner].join(".");
    const message = `Argument ${place} of ${action} is ${found.what}, which cannot cross the wire`;
    throw new AgentVmError("invalid_argument", message, found.hint === undefined ? {} : { hint: found.hint });
  }
}

/**
 * Refuses a value that cannot be written as JSON. The server's own routes take their options so.
 *
 * @throws AgentVmError `invalid_argument`
 */
export function checkJson(action: string, args: readonly unknown[]): void {
  checkCrossing(action, args);
  try {
    JSON.stringify(args);
  } catch {
    throw new AgentVmError("invalid_argument", `The arguments of ${action} cannot be written as JSON`);
  }
}

/** @param within collections that contain the value */
function uncrossableIn(value: unknown, within: readonly object[]): Uncrossable | undefined {
  if (typeof value === "function" || typeof value === "symbol") {
    const hint = "Use vm.connect().on(event, callback).";
    return { what: `a ${typeof value}`, hint, keys: [] };
  }
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return undefined;
  if (value instanceof AbortSignal) {
    return { what: "an AbortSignal", hint: "Pass { signal } as the argument after the options.", keys: [] };
  }
  if (value instanceof Promise) return { what: "a Promise", hint: "Await it first.", keys: [] };
  const platform = platformType(value);
  if (platform !== undefined) {
    const hint = HINTS[platform];
    const what = `${/^[AEIO]/.test(platform) ? "an" : "a"} ${platform}`;
    return { what, ...(hint !== undefined && { hint }), keys: [] };
  }
  if (within.includes(value)) return { what: "an object inside itself", keys: [] };
  // The caller refuses deeper values.
  if (within.length > MAX_CALL_DEPTH) return undefined;
  const path = [...within, value];
  for (const [key, item] of Array.isArray(value) ? value.entries() : Object.entries(value)) {
    const found = uncrossableIn(item, path);
    if (found) {
      found.keys.push(key);
      return found;
    }
  }
  return undefined;
}

/** Types of the platform that cross the wire, beside bytes. */
const CROSSING: ReadonlySet<string> = new Set([
  "Object",
  "Array",
  "ArrayBuffer",
  "Date",
  "Error",
  "Map",
  "Set",
]);

const HINTS: Readonly<Record<string, string>> = {
  Blob: "Pass its bytes: new Uint8Array(await blob.arrayBuffer()).",
  File: "Pass its bytes: new Uint8Array(await file.arrayBuffer()).",
  Headers: "Pass its pairs: [...headers].",
  URL: "Pass its text: String(url).",
  URLSearchParams: "Pass its text: String(parameters).",
};

/** Returns the name of a type whose content the encoder loses or refuses, such as `Blob`; `undefined` for plain data. */
function platformType(value: object): string | undefined {
  const name = Object.prototype.toString.call(value).slice("[object ".length, -1);
  if (Symbol.asyncIterator in value) return name === "Object" ? "AsyncIterable" : name;
  // An object of a library may have a name too. It crosses as its fields.
  return CROSSING.has(name) || Object.keys(value).length > 0 ? undefined : name;
}
