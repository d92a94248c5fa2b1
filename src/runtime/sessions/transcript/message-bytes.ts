import { MESSAGE_OVERHEAD_BYTES, MESSAGE_VALUE_BYTES } from "../limits.ts";

/** Memory that a message takes. @param values number of its values, each of which is an object or a place in a list */
export function messageBytes(chars: number, values: number): number {
  return chars + MESSAGE_OVERHEAD_BYTES + values * MESSAGE_VALUE_BYTES;
}
