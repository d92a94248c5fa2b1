import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { AgentVmError } from "../api/errors.ts";

export const LOCK_FILE = "server.lock";

/** Commands that take flock(2) on descriptor 3 and exit 1 if another process holds it. Node has no flock. */
const LOCKERS: readonly (readonly [command: string, ...args: string[]])[] = [
  ["flock", "--exclusive", "--nonblock", "3"],
  [
    "perl",
    "-e",
    'use Fcntl ":flock"; open(F, ">&=", 3) or exit 2; exit(flock(F, LOCK_EX | LOCK_NB) ? 0 : 1)',
  ],
];
const TAKEN = 1;

/** Folders that this process has locked. */
const held = new Set<string>();

/**
 * Locks a data folder until this process ends.
 *
 * For RivetKit 2.2's file system driver, which lets two servers overwrite each other's actors.
 *
 * @throws AgentVmError `data_in_use` with the process that holds the folder.
 */
export function holdDataFolder(path: string): void {
  const holder = lockFolder(path);
  if (holder === undefined) return;
  const by = holder === "" ? "" : `: ${holder}`;
  throw new AgentVmError("data_in_use", `The data folder ${path} is in use by another server${by}`, {
    path,
    holder,
  });
}

/**
 * Locks a folder until this process ends. The lock belongs to an open file, which the kernel closes however the process
 * ends, so a lock is never stale.
 *
 * @returns the process that holds the folder, as text; `undefined` if this process holds it now
 */
export function lockFolder(path: string): string | undefined {
  const folder = fs.realpathSync(path);
  if (held.has(folder)) return undefined;
  const file = join(folder, LOCK_FILE);
  const fd = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_NOFOLLOW, 0o600);
  if (!lock(fd)) {
    fs.closeSync(fd);
    return fs.readFileSync(file, "utf8").trim();
  }
  fs.ftruncateSync(fd);
  fs.writeSync(fd, `process ${process.pid} on ${hostname()}, since ${new Date().toISOString()}\n`, 0);
  held.add(folder);
  return undefined;
}

/** @returns `false` if another process holds the lock; `true` also on a host without any of the commands. */
function lock(fd: number): boolean {
  for (const [command, ...args] of LOCKERS) {
    const { status } = spawnSync(command, args, { stdio: ["ignore", "ignore", "ignore", fd] });
    if (status === 0) return true;
    if (status === TAKEN) return false;
  }
  return true;
}
