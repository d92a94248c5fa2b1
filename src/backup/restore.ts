import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { AgentVmError } from "../api/errors.ts";
import { makeFolder } from "../base/private-folder.ts";
import { VMS_FILE } from "../directory/index-file.ts";
import { MARK_FILE, readDataMark, removeDataMark, syncFolder, writeDataMark } from "../rivet/data-format.ts";
import { holdDataFolder, LOCK_FILE } from "../rivet/data-lock.ts";
import { copyHashed } from "./hashed-file.ts";
import { ACTOR_FOLDERS, damaged, readManifest, TOKEN_DATABASE, TOKEN_SECRET } from "./manifest.ts";

/** Entries of a data folder that count as empty. Some file systems have `lost+found` at their top. */
const NO_CONTENT: readonly string[] = [LOCK_FILE, MARK_FILE, `${MARK_FILE}.new`, "lost+found"];

export interface RestoreOptions {
  /** Folder of the backup. */
  backup: string;
  /** Folder for the server's data. It is empty, or does not exist. */
  dataDir: string;
  /** A file is done. */
  onProgress(done: number, of: number): void;
}

/** Data that was restored. */
export interface RestoreResult {
  dataDir: string;
  vms: number;
  bytes: number;
  /** Time of the backup. */
  createdAt: string;
}

/**
 * Copies a backup into an empty data folder, and checks each file. After an error the folder is empty. If the process dies,
 * servers refuse the folder, and the next restore begins again.
 *
 * @throws AgentVmError `invalid_backup`, `storage_too_new`, `data_in_use`, `invalid_argument` if the folder has content
 */
export async function restore({ backup, dataDir, onProgress }: RestoreOptions): Promise<RestoreResult> {
  const { files, agentVm, createdAt, dataFormat: format, vms } = readManifest(backup);
  makeFolder(dataDir);
  holdDataFolder(dataDir);
  if (readDataMark(dataDir)?.isRestoring === true) empty(dataDir);
  assertEmpty(dataDir);
  writeDataMark(dataDir, { format, agentVm, isRestoring: true });
  try {
    for (const folder of ACTOR_FOLDERS) mkdirSync(join(dataDir, folder), { mode: 0o700 });
    for (const [done, { path, size, sha256 }] of files.entries()) {
      onProgress(done, files.length);
      const copied = await copyHashed(join(backup, path), join(dataDir, path), size);
      if (copied.size !== size || copied.sha256 !== sha256) throw damaged(backup, path);
    }
    for (const folder of ACTOR_FOLDERS) syncFolder(join(dataDir, folder));
    writeDataMark(dataDir, { format, agentVm });
    onProgress(files.length, files.length);
  } catch (error) {
    empty(dataDir);
    removeDataMark(dataDir);
    throw error;
  }
  return { dataDir, vms, bytes: files.reduce((sum, { size }) => sum + size, 0), createdAt };
}

/** Deletes what a restore has written, except for its mark. */
function empty(dataDir: string): void {
  const names = [...ACTOR_FOLDERS, VMS_FILE, TOKEN_DATABASE, TOKEN_SECRET];
  for (const name of names) rmSync(join(dataDir, name), { recursive: true, force: true });
}

function assertEmpty(dataDir: string): void {
  const found = readdirSync(dataDir).find((name) => !NO_CONTENT.includes(name));
  if (found === undefined) return;
  throw new AgentVmError(
    "invalid_argument",
    `The data folder ${dataDir} is not empty: it has ${found}. Move its content away, or restore into another folder with --data`,
    { argument: "--data" },
  );
}
