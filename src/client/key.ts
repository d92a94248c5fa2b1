import { invalidArgument } from "../api/errors.ts";
import { MAX_KEY_BYTES, MAX_KEY_PARTS } from "../api/limits.ts";
import { fitsUtf8 } from "../api/size.ts";

/**
 * Returns the parts of a VM's key. None may be missing or empty: with a missing user id all users would share one VM.
 *
 * @throws AgentVmError `invalid_argument`
 */
export function partsOfKey(key: unknown): string[] {
  const parts: unknown[] = Array.isArray(key) ? key : [key];
  const isText = (part: unknown): part is string => typeof part === "string" && part !== "";
  if (parts.length === 0 || parts.length > MAX_KEY_PARTS)
    throw invalidArgument("key", `1 to ${MAX_KEY_PARTS} strings`, key);
  if (!parts.every(isText))
    throw invalidArgument(
      "key",
      "a string, or an array of strings, none of them empty",
      parts.find((part) => !isText(part)),
    );
  if (!fitsUtf8(parts.join("/"), MAX_KEY_BYTES))
    throw invalidArgument("key", `at most ${MAX_KEY_BYTES} bytes`, key);
  return parts;
}
