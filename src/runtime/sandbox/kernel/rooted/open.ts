import { constants, openSync, type Stats } from "node:fs";
import { type Call, notRegularFile, posixError } from "../../posix.ts";
import { descriptorPath } from "./descriptors.ts";
import type { Entry } from "./place.ts";
import type { Root } from "./root.ts";

/**
 * O_NONBLOCK: a process of the VM that holds a lease on its file (F_SETLEASE) would make open(2) wait 45 s for it;
 * so the open is EAGAIN instead. O_NOCTTY is for completeness; terminals never get here.
 */
const READ = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/** Opens what has been looked at: the descriptor names the file itself, so nothing can be put in its place. */
export function openForReading(root: Root, entry: Entry, call: Call): number {
  assertOpenable(root, entry, call);
  return openSync(descriptorPath(entry.fd), READ);
}

export function assertOpenable(root: Root, entry: Entry, call: Call): void {
  if (entry.stats.isDirectory()) throw posixError("EISDIR", { ...call, syscall: "read" });
  assertRegularFile(entry.stats, call);
  root.assertReadable(entry.stats, call);
}

/** Opening a FIFO waits for its other end, and opening a device may do anything. */
export function assertRegularFile(stats: Stats, call: Call): void {
  if (stats.isFile()) return;
  throw notRegularFile(call, kindOf(stats));
}

function kindOf(stats: Stats): string {
  if (stats.isFIFO()) return "FIFO";
  if (stats.isSocket()) return "socket";
  return stats.isBlockDevice() ? "block device" : "character device";
}
