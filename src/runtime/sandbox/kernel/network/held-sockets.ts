import { readdirSync, readlinkSync } from "node:fs";
import { pause } from "../../pace.ts";

export interface SearchLimits {
  /** Descriptors that may still be looked at. */
  left: number;
  /** The descriptor of the procfs is going to be closed. */
  signal: AbortSignal;
}

export interface HeldSocket {
  inode: string;
  pid: number;
}

/**
 * Every socket that a process of a VM holds, read through a descriptor of its procfs, in the order of pids: who opened a
 * socket comes before whom it was handed down to.
 *
 * @param limits are counted down.
 */
export async function* heldSockets(procFd: number, limits: SearchLimits): AsyncGenerator<HeldSocket> {
  for (const pid of names(`/proc/self/fd/${procFd}`)) {
    if (!/^\d+$/.test(pid)) continue;
    const folder = `/proc/self/fd/${procFd}/${pid}/fd`;
    for (const fd of names(folder)) {
      if (limits.left <= 0) return;
      limits.left -= 1;
      await pause();
      if (limits.signal.aborted) return;
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`${folder}/${fd}`))?.[1];
      if (inode !== undefined) yield { inode, pid: Number(pid) };
    }
  }
}

function names(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    // It ended while it was read, or hides its descriptors.
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // Closed meanwhile.
    return "";
  }
}
