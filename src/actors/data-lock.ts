import { spawnSync } from "node:child_process";
import {
  closeSync,
  constants,
  ftruncateSync,
  openSync,
  readFileSync,
  realpathSync,
  writeSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { AgentVmError } from "../api/errors.ts";

const LOCK_FILE = "server.lock";

/** What takes an flock(2) on its descriptor 3, or fails with 1 where another process has it. Node cannot by itself. */
const LOCKERS: readonly (readonly [command: string, ...args: string[]])[] = [
  ["flock", "--exclusive", "--nonblock", "3"],
  [
    "perl",
    "-e",
    'use Fcntl ":flock"; open(F, ">&=", 3) or exit 2; exit(flock(F, LOCK_EX | LOCK_NB) ? 0 : 1)',
  ],
];
const TAKEN = 1;

/** Folders that this process holds. */
const held = new Set<string>();

/**
 * Holds a data folder for as long as this process lives: two servers would overwrite each other's actors. The lock
 * belongs to the open file, which the kernel closes whichever way the process ends, so that none is ever stale.
 *
 * @throws AgentVmError `data_in_use`, naming the process that has it.
 */
export function holdDataFolder(path: string): void {
  const folder = realpathSync(path);
  if (held.has(folder)) return;
  const file = join(folder, LOCK_FILE);
  const fd = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  if (!lock(fd)) {
    closeSync(fd);
    throw dataInUse(path, file);
  }
  ftruncateSync(fd);
  writeSync(fd, `process ${process.pid} on ${hostname()}, since ${new Date().toISOString()}\n`, 0);
  held.add(folder);
}

/** Where nothing can lock, the folder is taken: the server goes on as it could before there was a lock. */
function lock(fd: number): boolean {
  for (const [command, ...args] of LOCKERS) {
    const { status } = spawnSync(command, args, { stdio: ["ignore", "ignore", "ignore", fd] });
    if (status === 0) return true;
    if (status === TAKEN) return false;
  }
  return true;
}

function dataInUse(path: string, file: string): AgentVmError {
  const holder = readFileSync(file, "utf8").trim();
  return new AgentVmError(
    "data_in_use",
    `The data folder ${path} is in use by another server${holder === "" ? "" : `: ${holder}`}`,
    { path, holder },
  );
}
