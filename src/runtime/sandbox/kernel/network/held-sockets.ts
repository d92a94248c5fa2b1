import { closeSync, openSync, readdirSync, readlinkSync, readSync } from "node:fs";
import { pause } from "../../../../base/pace.ts";

/**
 * Bytes that one search for a program reads of the kernel's table of sockets, for IPv4 and IPv6 each.
 * @unit bytes
 * @past The denial has no `pid`.
 */
const MAX_TABLE_BYTES = 1024 * 1024;

const READ_BYTES = 64 * 1024;

export interface SearchLimits {
  /** Number of descriptors that may still be read. The search counts it down. */
  left: number;
  /** Aborted before the descriptor of the procfs is closed. */
  signal: AbortSignal;
}

interface HeldSocket {
  inode: string;
  pid: number;
}

/**
 * Yields every socket that a process of a VM holds, read through a descriptor of the VM's procfs. The order is by pid,
 * so that a process usually precedes its children, which inherit its sockets.
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

/**
 * Yields the lines of a VM's table of sockets, up to MAX_TABLE_BYTES.
 *
 * @param signal aborted before `procFd` is closed
 */
export async function* tableLines(
  procFd: number,
  table: "tcp" | "tcp6",
  signal: AbortSignal,
): AsyncGenerator<string[]> {
  if (signal.aborted) return;
  let fd: number;
  try {
    fd = openSync(`/proc/self/fd/${procFd}/1/net/${table}`, "r");
  } catch {
    // A kernel without IPv6, or a VM that has just ended.
    return;
  }
  try {
    const buffer = Buffer.alloc(READ_BYTES);
    let rest = "";
    for (let total = 0; total < MAX_TABLE_BYTES; ) {
      await pause();
      signal.throwIfAborted();
      const count = readSync(fd, buffer);
      if (count === 0) return;
      total += count;
      const lines = (rest + buffer.toString("latin1", 0, count)).split("\n");
      rest = lines.pop() ?? "";
      yield lines;
    }
  } catch {
    // The VM has ended.
  } finally {
    closeSync(fd);
  }
}

function names(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    // The process ended during the read, or hides its descriptors.
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // The process has closed the descriptor.
    return "";
  }
}
