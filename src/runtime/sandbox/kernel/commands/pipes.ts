import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { O_PATH } from "../../posix.ts";
import type { StartedCommand } from "./command.ts";
import { PipeReader } from "./pipe-reader.ts";
import { StdinWriter } from "./stdin-writer.ts";

/** The server's ends of a command's stdio. */
export type CommandPipes = Pick<StartedCommand, "stdin" | "stdout" | "stderr">;

/** Opens the server's ends of three pipes that a process inside, by its folder in /proc, holds under these descriptors. */
export function openPipes(holder: string, stdinFd: number, stdoutFd: number, stderrFd: number): CommandPipes {
  const open: number[] = [];
  try {
    open.push(openPipe(holder, stdinFd, "write"));
    open.push(openPipe(holder, stdoutFd, "read"));
    open.push(openPipe(holder, stderrFd, "read"));
  } catch (error) {
    for (const fd of open) closeSync(fd);
    throw error;
  }
  const [stdin, stdout, stderr] = open as [number, number, number];
  return { stdin: new StdinWriter(stdin), stdout: new PipeReader(stdout), stderr: new PipeReader(stderr) };
}

/**
 * Opens an end of a pipe. Its holder is the server's, but it runs inside, where a process of the VM might have put something
 * else in its place: it is looked at before it is opened.
 */
export function openPipe(holder: string, fd: number, end: "read" | "write"): number {
  const found = openSync(`${holder}/fd/${fd}`, O_PATH);
  try {
    if (!fstatSync(found).isFIFO()) throw new Error("the spawner has no pipe there");
    const mode = end === "read" ? constants.O_RDONLY : constants.O_WRONLY;
    return openSync(`/proc/self/fd/${found}`, mode | constants.O_NONBLOCK);
  } finally {
    closeSync(found);
  }
}
