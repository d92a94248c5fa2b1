import { AgentVmError, argumentsTooLarge } from "../api/errors.ts";
import { MAX_RESULT_BYTES } from "../api/limits.ts";
import { wireSize } from "../api/size.ts";

/** Something that cannot be sent. */
interface Uncrossable {
  what: string;
  hint?: string;
  /** Keys on the way to it, outermost last. */
  keys: PropertyKey[];
}

/**
 * Refuses arguments that cannot cross the wire: RivetKit's encoder fails on them unheard, and the call would never end.
 *
 * @throws AgentVmError `invalid_argument`
 */
export function checkArguments(action: string, args: readonly unknown[]): void {
  const found = uncrossableIn(args, []);
  if (found) {
    const [position, ...inner] = found.keys.reverse();
    const place = [Number(position) + 1, ...inner].join(".");
    const message = `Argument ${place} of ${action} is ${found.what}, which cannot cross the wire`;
    throw new AgentVmError("invalid_argument", message, found.hint === undefined ? {} : { hint: found.hint });
  }
  const bytes = wireSize(args);
  if (bytes > MAX_RESULT_BYTES) throw argumentsTooLarge(action, bytes, MAX_RESULT_BYTES);
}

/** @param within the collections that the value stands in */
function uncrossableIn(value: unknown, within: readonly object[]): Uncrossable | undefined {
  if (typeof value === "function" || typeof value === "symbol")
    return { what: `a ${typeof value}`, keys: [] };
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return undefined;
  if (value instanceof AbortSignal) {
    return { what: "an AbortSignal", hint: "Pass { signal } as the argument after the options.", keys: [] };
  }
  if (value instanceof Promise) return { what: "a Promise", hint: "Await it first.", keys: [] };
  if (within.includes(value)) return { what: "an object inside itself", keys: [] };
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
