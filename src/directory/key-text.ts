import { parseJson } from "../base/json.ts";

const SEPARATOR = "\u0001";

/**
 * Encodes an actor's key as text. The order of the texts is the order of the keys, part by part. The text of
 * a key begins with the text of its first parts.
 */
export function keyText(key: readonly string[]): string {
  return key.map((part) => escaped(part) + SEPARATOR).join("");
}

/** The beginning of the text of every key that begins with these parts. An empty part at the end counts for nothing. */
export function prefixText(parts: readonly string[]): string {
  return keyText(parts.at(-1) === "" ? parts.slice(0, -1) : parts);
}

/** Returns whether a text may be that of a key. */
export function isKeyText(text: string): boolean {
  return text === "" || text.endsWith(SEPARATOR);
}

/** Returns whether a text of JSON is the key that another text encodes. The index has both, so that a changed byte in one shows. */
export function isKeyOf(json: string, text: string): boolean {
  const key = parseJson(json);
  if (!Array.isArray(key) || !key.every((part) => typeof part === "string")) return false;
  // SQLite stores U+FFFD in place of half a surrogate pair.
  return keyText(key).toWellFormed() === text;
}

function escaped(part: string): string {
  return part
    .replaceAll("\u0002", "\u0002\u0005")
    .replaceAll("\0", "\u0002\u0003")
    .replaceAll(SEPARATOR, "\u0002\u0004");
}
