import { resolve } from "node:path";
import process from "node:process";
import { backUp } from "../backup/backup.ts";
import { restore } from "../backup/restore.ts";
import { readEnvironment } from "../http/environment.ts";
import { EXIT } from "./exit-codes.ts";
import { shownBytes } from "./shown.ts";

/**
 * Shortest time between two lines about the progress.
 * @unit ms
 */
const PROGRESS_MS = 2_000;

/** Keeps new files from other users. */
const PRIVATE = 0o077;

interface DataOptions {
  data?: string;
  json?: boolean;
}

interface BackupOptions extends DataOptions {
  base?: string;
  tokens: boolean;
}

/** Copies a server's data into a new folder. Exits 3 if VMs could not be read. */
export async function backup(dir: string, { data, base, tokens, json }: BackupOptions): Promise<void> {
  process.umask(PRIVATE);
  const result = await backUp({
    dataDir: dataFolder(data),
    target: resolve(dir),
    base: base === undefined ? undefined : resolve(base),
    hasTokens: tokens,
    onProgress: progress("VMs"),
  });
  for (const { actorId, reason } of result.leftOut) {
    process.stderr.write(`agent-vm: the backup lacks the VM with the actor id ${actorId}: ${reason}\n`);
  }
  if (json) console.log(JSON.stringify(result));
  else
    console.log(
      `Backup ${result.backup}: ${result.vms} VMs (${result.unchanged} unchanged), ${shownBytes(result.bytes)}`,
    );
  if (result.leftOut.length > 0) process.exitCode = EXIT.partly;
}

/** Copies a backup into an empty data folder. */
export async function restoreBackup(dir: string, { data, json }: DataOptions): Promise<void> {
  process.umask(PRIVATE);
  const dataDir = dataFolder(data);
  const result = await restore({ backup: resolve(dir), dataDir, onProgress: progress("files") });
  if (json) console.log(JSON.stringify(result));
  else
    console.log(
      `Restored ${result.vms} VMs of ${result.createdAt}, ${shownBytes(result.bytes)}, into ${dataDir}`,
    );
}

function dataFolder(given: string | undefined): string {
  return given === undefined ? readEnvironment(process.env).dataDir : resolve(given);
}

/** Writes lines about the progress of long work to stderr. */
function progress(unit: string): (done: number, of: number) => void {
  let shownAt = performance.now();
  return (done, of) => {
    if (performance.now() - shownAt < PROGRESS_MS) return;
    shownAt = performance.now();
    process.stderr.write(`${done} of ${of} ${unit}\n`);
  };
}
