import { lstatSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { AgentVmError } from "../api/errors.ts";
import { parseJson } from "../base/json.ts";
import { packageVersion } from "../base/package-version.ts";
import { printable } from "../base/printable.ts";
import { assertReadable } from "../rivet/data-format.ts";

export const MANIFEST = "manifest.json";

/** Newest format of a backup. */
export const BACKUP_FORMAT = 1;

/** Folders of a data folder with files of single actors. */
export const ACTOR_FOLDERS = ["state", "databases", "alarms"] as const;

/** Files of the tokens that a server has made. A backup may leave them out. */
export const TOKEN_DATABASE = "tokens.db";
export const TOKEN_SECRET = "tokens.secret";

/** Paths that a backup may have. No other path is read or restored. */
const PATH =
  /^(?:vms\.db|tokens\.db|tokens\.secret|(?:state|alarms)\/[\w-]{1,128}|databases\/[\w-]{1,128}\.db)$/;

const fileSchema = z.object({
  path: z.string().regex(PATH),
  size: z.int().nonnegative(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** State of the data folder's own file from which this file was made, if nobody changed it meanwhile. */
  stamp: z.string().optional(),
});

export type BackupFile = z.infer<typeof fileSchema>;

const manifestSchema = z.object({
  format: z.int().positive(),
  /** Format of the data folder. */
  dataFormat: z.int().positive(),
  /** Version that made the backup. */
  agentVm: z.string().regex(/^[\w.+-]{1,40}$/),
  createdAt: z.iso.datetime(),
  vms: z.int().nonnegative(),
  files: z.array(fileSchema),
});

/** Content of a backup. It is written last, so that a folder without a manifest is not a backup. */
export type Manifest = z.infer<typeof manifestSchema>;

/**
 * Reads the manifest of a backup, and checks that its files are there with their sizes.
 *
 * @throws AgentVmError `invalid_backup`, `storage_too_new`
 */
export function readManifest(folder: string): Manifest {
  const value = parseJson(textOf(folder));
  const { format, agentVm } = (value ?? {}) as { format?: unknown; agentVm?: unknown };
  if (typeof format === "number" && format > BACKUP_FORMAT) {
    throw new AgentVmError(
      "storage_too_new",
      `The backup ${folder} has format ${format}, written by agent-vm ${printable(String(agentVm).slice(0, 40))}. This is agent-vm ${packageVersion()}, which reads formats up to ${BACKUP_FORMAT}`,
      { format, supported: BACKUP_FORMAT },
    );
  }
  const { data: manifest } = manifestSchema.safeParse(value);
  if (manifest === undefined || !isConsistent(manifest)) {
    throw invalidBackup(`The manifest of ${folder} is damaged`);
  }
  assertReadable({ format: manifest.dataFormat, agentVm: manifest.agentVm }, `The data in ${folder}`);
  for (const name of ACTOR_FOLDERS) {
    if (lstatSync(join(folder, name), { throwIfNoEntry: false })?.isDirectory() !== true)
      throw invalidBackup(`The backup ${folder} lacks its folder ${name}`);
  }
  for (const { path, size } of manifest.files) {
    const found = lstatSync(join(folder, path), { throwIfNoEntry: false });
    if (found === undefined) throw invalidBackup(`The backup ${folder} lacks its file ${path}`);
    if (!found.isFile() || found.size !== size) throw damaged(folder, path);
  }
  return manifest;
}

/** @returns the error for a file that is not as the manifest says */
export function damaged(folder: string, path: string): AgentVmError {
  return invalidBackup(`The file ${path} of the backup ${folder} is damaged`);
}

function invalidBackup(message: string): AgentVmError {
  return new AgentVmError("invalid_backup", message);
}

function textOf(folder: string): string {
  try {
    return readFileSync(join(folder, MANIFEST), "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "ENOTDIR") throw error;
    throw invalidBackup(`${folder} is not a whole backup: it has no ${MANIFEST}`);
  }
}

/** Returns whether each VM has its record and its storage, and no path is there twice. */
function isConsistent({ files, vms }: Manifest): boolean {
  const paths = new Set(files.map(({ path }) => path));
  const records = files.filter(({ path }) => path.startsWith("state/"));
  const storages = files.filter(({ path }) => path.startsWith("databases/"));
  return (
    paths.size === files.length &&
    records.length === vms &&
    storages.length === vms &&
    records.every(({ path }) => paths.has(`databases/${path.slice("state/".length)}.db`))
  );
}
