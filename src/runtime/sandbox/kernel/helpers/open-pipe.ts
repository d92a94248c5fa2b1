import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { Socket } from "node:net";
import { O_PATH } from "../../posix.ts";

/**
 * Opens an end of a pipe. The process that holds it may run inside, where a process of the VM might have put something
 * else in its place: the server looks at it before it opens it.
 */
export function openPipe(holder: string, fd: number, end: "read" | "write"): number {
  const found = openSync(`${holder}/fd/${fd}`, O_PATH);
  try {
    if (!fstatSync(found).isFIFO()) throw new Error("the process has no pipe there");
    const mode = end === "read" ? constants.O_RDONLY : constants.O_WRONLY;
    return openSync(`/proc/self/fd/${found}`, mode | constants.O_NONBLOCK);
  } finally {
    closeSync(found);
  }
}

/** Opens an end of a pipe as a stream. */
export function openEnd(holder: string, fd: number, end: "read" | "write"): Socket {
  const opened = openPipe(holder, fd, end);
  try {
    return new Socket({ fd: opened, readable: end === "read", writable: end === "write" });
  } catch (error) {
    closeSync(opened);
    throw error;
  }
}
