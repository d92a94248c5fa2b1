import { AgentVmError } from "../../api/errors.ts";
import { MAX_PATH_BYTES } from "../../api/limits.ts";
import { fitsUtf8 } from "../../api/size.ts";
import { isTemporaryName } from "../sandbox/names.ts";
import type { TreeContent } from "../sandbox/persistent-tree.ts";

/** Content of a file in pieces. */
export type ArchiveContent = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** Entry of an archive in any format. Its content can be read once, before the next entry. */
export type ArchiveEntry = {
  /** Relative, normalized name. `""` is the archive's top directory. */
  name: string;
  mode: number;
  mtimeMs: number;
} & (
  | { type: "file"; content: TreeContent }
  | { type: "directory" }
  | { type: "symlink"; target: string }
  /** Another name of an earlier file. */
  | { type: "link"; existing: string }
  /** A device, a FIFO or a socket. */
  | { type: "other" }
);

/** Returns the error for an invalid archive, or one with an entry that must not be imported. */
export function invalidArchive(reason: string, metadata: Record<string, unknown> = {}): AgentVmError {
  return new AgentVmError("invalid_archive", `The archive cannot be imported: ${reason}`, metadata);
}

/**
 * Normalizes the name of an archive's entry.
 *
 * @returns the name relative to the target directory
 * @throws AgentVmError `invalid_archive` for a name that is absolute, contains `..`, or is not allowed in a VM
 */
export function entryName(raw: string): string {
  if (raw.startsWith("/")) throw refused(raw, "has an absolute name");
  if (raw.includes("\0")) throw refused(raw, "has a name with NUL");
  if (!fitsUtf8(raw, MAX_PATH_BYTES)) throw refused(raw, `has a name of more than ${MAX_PATH_BYTES} bytes`);
  const names = raw.split("/").filter((name) => name !== "" && name !== ".");
  if (names.includes("..")) throw refused(raw, "has `..` in its name");
  if (names.some(isTemporaryName)) throw refused(raw, "has a name that is reserved for temporary files");
  return names.join("/");
}

/** Returns the error for an entry that must not be imported. */
export function refused(name: string, why: string): AgentVmError {
  const shown = name.length > 200 ? `${name.slice(0, 200)}...` : name;
  return invalidArchive(`its entry ${JSON.stringify(shown)} ${why}`, { entry: shown });
}
