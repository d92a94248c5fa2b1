import type { Stats } from "node:fs";
import type { VirtualStat } from "../../../../api/methods/files.ts";
import type { Owner } from "../../own-uids.ts";
import { dateMs } from "./times.ts";

/** Id of the VM's only user and group, as its user namespace maps them. */
const VM_ID = 1000;

/** Id that the kernel shows for an id that a user namespace does not map. */
const OVERFLOW_ID = 65534;

/**
 * Describes a file with its owner as the VM shows it.
 *
 * @param owner host ids of the VM's user. `null`: the server's ids
 */
export function toVirtualStat(stats: Stats, owner: Owner | null): VirtualStat {
  const uid = owner?.uid ?? process.getuid?.();
  const gid = owner?.gid ?? process.getgid?.();
  return {
    mode: stats.mode,
    size: stats.size,
    blocks: stats.blocks,
    dev: stats.dev,
    rdev: stats.rdev,
    isDirectory: stats.isDirectory(),
    isSymbolicLink: stats.isSymbolicLink(),
    atimeMs: dateMs(stats.atimeMs),
    mtimeMs: dateMs(stats.mtimeMs),
    ctimeMs: dateMs(stats.ctimeMs),
    birthtimeMs: dateMs(stats.birthtimeMs),
    ino: stats.ino,
    nlink: stats.nlink,
    uid: stats.uid === uid ? VM_ID : OVERFLOW_ID,
    gid: stats.gid === gid ? VM_ID : OVERFLOW_ID,
  };
}
