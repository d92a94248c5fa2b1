import { resolve } from "node:path";
import process from "node:process";
import { backUp } from "../backup/backup.ts";
import { restore } from "../backup/restore.ts";
import { readEnvironment } from "../http/environment.ts";
import type { Cli } from "./cli.ts";
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
}

interface BackupOptions extends DataOptions {
  base?: string;
  tokens: boolean;
}

/** Copies a server's data into a new folder. Exits 3 if VMs could not be read. */
export async function backup(cli: Cli, dir: string, { data, base, tokens }: BackupOptions): Promise<void> {
  process.umask(PRIVATE);
  const result = await backUp({
    dataDir: dataFolder(data),
    target: resolve(dir),
    base: base === undefined ? undefined : resolve(base),
    hasTokens: tokens,
    onProgress: progress("VMs"),
  });
  for (const { actorId, reason } of result.leftOut) {
    cli.out.warn(`the backup lacks the VM with the actor id ${actorId}: ${reason}`);
  }
  const { backup: made, vms, unchanged, bytes } = result;
  await cli.out.value(result, `Backup ${made}: ${vms} VMs (${unchanged} unchanged), ${shownBytes(bytes)}`);
  if (result.leftOut.length > 0) process.exitCode = EXIT.partly;
}

/** Copies a backup into an empty data folder. */
export async function restoreBackup(cli: Cli, dir: string, { data }: DataOptions): Promise<void> {
  process.umask(PRIVATE);
  const dataDir = dataFolder(data);
  const result = await restore({ backup: resolve(dir), dataDir, onProgress: progress("files") });
  const { vms, createdAt, bytes } = result;
  await cli.out.value(result, `Restored ${vms} VMs of ${createdAt}, ${shownBytes(bytes)}, into ${dataDir}`);
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
