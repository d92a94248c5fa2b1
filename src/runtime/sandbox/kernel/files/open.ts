import { constants, openSync, type Stats } from "node:fs";
import { type Call, notRegularFile, posixError } from "../../posix.ts";
import { descriptorPath } from "./descriptors.ts";
import type { Entry } from "./place.ts";
import type { Root } from "./root.ts";

/**
 * Flags for reading. If a process of the VM holds a lease on its file (F_SETLEASE), open(2) would wait 45 s. With
 * O_NONBLOCK it fails with EAGAIN. O_NOCTTY is for completeness: terminals never get here.
 */
const READ = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/** Opens a file by its O_PATH descriptor, so that no process can put another file in its place. */
export function openForReading(root: Root, entry: Entry, call: Call): number {
  assertOpenable(root, entry, call);
  return openSync(descriptorPath(entry.fd), READ);
}

export function assertOpenable(root: Root, entry: Entry, call: Call): void {
  if (entry.stats.isDirectory()) throw posixError("EISDIR", { ...call, syscall: "read" });
  assertRegularFile(entry.stats, call);
  root.assertReadable(entry.stats, call);
}

/** Refuses other files: opening a FIFO waits for its other end, and opening a device may do anything. */
export function assertRegularFile(stats: Stats, call: Call): void {
  if (stats.isFile()) return;
  throw notRegularFile(call, kindOf(stats));
}

function kindOf(stats: Stats): string {
  if (stats.isFIFO()) return "FIFO";
  if (stats.isSocket()) return "socket";
  return stats.isBlockDevice() ? "block device" : "character device";
}
