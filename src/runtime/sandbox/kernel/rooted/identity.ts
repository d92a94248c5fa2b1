import type { Stats } from "node:fs";
import type { VirtualStat } from "../../../../api/types.ts";

/** A user and a group. */
export interface Owner {
  uid: number;
  gid: number;
}

/** How the ids of the host's files read inside the VM. */
export interface Identity {
  mapUid(hostUid: number): number;
  mapGid(hostGid: number): number;
}

/** The VM's one user and group, as its user namespace maps them. */
const VM_ID = 1000;

/** What the kernel shows for an id that a user namespace does not map. */
const OVERFLOW_ID = 65534;

/** One host uid and gid is 1000 inside: the VM's own, or the server's where the server is an ordinary user. */
export function identityOf(owner: Owner | null): Identity {
  const uid = owner?.uid ?? process.getuid?.();
  const gid = owner?.gid ?? process.getgid?.();
  return {
    mapUid: (hostUid) => (hostUid === uid ? VM_ID : OVERFLOW_ID),
    mapGid: (hostGid) => (hostGid === gid ? VM_ID : OVERFLOW_ID),
  };
}

export function toVirtualStat(stats: Stats, identity: Identity): VirtualStat {
  return {
    mode: stats.mode,
    size: stats.size,
    blocks: stats.blocks,
    dev: stats.dev,
    rdev: stats.rdev,
    isDirectory: stats.isDirectory(),
    isSymbolicLink: stats.isSymbolicLink(),
    atimeMs: Math.floor(stats.atimeMs),
    mtimeMs: Math.floor(stats.mtimeMs),
    ctimeMs: Math.floor(stats.ctimeMs),
    birthtimeMs: Math.floor(stats.birthtimeMs),
    ino: stats.ino,
    nlink: stats.nlink,
    uid: identity.mapUid(stats.uid),
    gid: identity.mapGid(stats.gid),
  };
}
