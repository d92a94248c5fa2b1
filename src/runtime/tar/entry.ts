import { AgentVmError } from "../../api/errors.ts";
import { MAX_PATH_BYTES } from "../../api/limits.ts";
import { fitsUtf8 } from "../../api/size.ts";
import { isTemporaryName } from "../sandbox/temporary.ts";

/** A file's bytes, in pieces. */
export type ArchiveContent = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** One entry of an archive, whatever the archive's form. Its content can be read once, before the next entry. */
export type ArchiveEntry = {
  /** Relative and normalized; `""` is the archive's own top. */
  name: string;
  mode: number;
  mtimeMs: number;
} & (
  | { type: "file"; content: ArchiveContent }
  | { type: "directory" }
  | { type: "symlink"; target: string }
  /** One more name of a file that came before. */
  | { type: "link"; existing: string }
  /** A device, a FIFO or a socket. */
  | { type: "other" }
);

/** What is no archive, or holds what is not taken from one. */
export function invalidArchive(what: string, metadata: Record<string, unknown> = {}): AgentVmError {
  return new AgentVmError("invalid_archive", `The archive cannot be imported: ${what}`, metadata);
}

/**
 * A name as an archive has it, made relative to where the archive goes.
 *
 * @throws AgentVmError `invalid_archive` for a name that is absolute, climbs, or could not be a file of a VM
 */
export function entryName(raw: string): string {
  if (raw.startsWith("/")) throw refused(raw, "has an absolute name");
  if (raw.includes("\0")) throw refused(raw, "has a name with NUL");
  if (!fitsUtf8(raw, MAX_PATH_BYTES)) throw refused(raw, `has a name of more than ${MAX_PATH_BYTES} bytes`);
  const names = raw.split("/").filter((name) => name !== "" && name !== ".");
  if (names.includes("..")) throw refused(raw, "has `..` in its name");
  if (names.some(isTemporaryName)) throw refused(raw, "has a name that is reserved for files under way");
  return names.join("/");
}

/** The error for one entry of an archive. */
export function refused(name: string, why: string): AgentVmError {
  const shown = name.length > 200 ? `${name.slice(0, 200)}...` : name;
  return invalidArchive(`its entry ${JSON.stringify(shown)} ${why}`, { entry: shown });
}
