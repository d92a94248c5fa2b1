import { posix } from "node:path";
import { UsageError } from "./exit-codes.ts";

/** Folder in which a path begins that is not absolute. Commands start there too. */
const HOME = "/home/agentos";

/** A path in a VM. */
export interface Place {
  key: string[];
  path: string;
  /** Whether the path was written with a slash at its end: it names a folder. */
  isFolder: boolean;
  /** Whether the path was written with `/.` at its end: it names what a folder has inside. */
  isContent: boolean;
}

/** Reads the key of a VM: parts with slashes between. A backslash takes the next character as it is. */
export function parseKey(text: string): string[] {
  const parts = [...split(text, "/")];
  if (parts.some((part) => part === ""))
    throw new UsageError(`Expected a key such as alice or team/alice, got ${JSON.stringify(text)}`);
  return parts;
}

/** Writes a key so that `parseKey` and `parsePlace` read it. */
export function keyText(key: readonly string[]): string {
  return key.map((part) => part.replace(/[\\/:]/g, "\\$&")).join("/");
}

/** Reads `KEY:PATH`. @returns `undefined` for a path of this machine */
export function parsePlace(text: string): Place | undefined {
  if (/^[./~]/.test(text) || text === "-") return undefined;
  const at = findUnescaped(text, ":");
  return at === -1 ? undefined : placeOf(parseKey(text.slice(0, at)), text.slice(at + 1));
}

/** Reads a path in a VM from `KEY:PATH`, or from `KEY` and `PATH`. @throws UsageError for a path of this machine */
export function needPlace(text: string, path?: string): Place {
  if (path !== undefined) return placeOf(parseKey(text), path);
  const place = parsePlace(text);
  if (place === undefined)
    throw new UsageError(`Expected KEY:PATH, such as alice:/workspace, got ${JSON.stringify(text)}`);
  return place;
}

function placeOf(key: string[], path: string): Place {
  const isFolder = path === "" || /\/\.?$/.test(path);
  return { key, path: posix.resolve(HOME, path), isFolder, isContent: isContent(path) };
}

/** Whether a path means the content of a folder: `folder/.` */
export function isContent(path: string): boolean {
  return path === "." || path.endsWith("/.");
}

function findUnescaped(text: string, wanted: string): number {
  for (let at = 0; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === wanted) return at;
  }
  return -1;
}

function* split(text: string, separator: string): Generator<string> {
  let part = "";
  for (let at = 0; at < text.length; at++) {
    if (text[at] === "\\" && at + 1 < text.length) part += text[++at];
    else if (text[at] === separator) {
      yield part;
      part = "";
    } else part += text[at];
  }
  yield part;
}
