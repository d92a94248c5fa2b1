import { closeSync } from "node:fs";
import { openPipe } from "../helpers/open-pipe.ts";
import type { StartedCommand } from "./command.ts";
import { PipeReader } from "./pipe-reader.ts";
import { StdinWriter } from "./stdin-writer.ts";

/** The server's ends of a command's stdio. */
export type CommandPipes = Pick<StartedCommand, "stdin" | "stdout" | "stderr">;

/**
 * Opens the server's ends of pipes that a process inside, by its folder in /proc, holds under these descriptors.
 *
 * @param stdinFd `undefined` for a command without stdin
 */
export function openPipes(
  holder: string,
  stdinFd: number | undefined,
  stdoutFd: number,
  stderrFd: number,
): CommandPipes {
  const open: number[] = [];
  try {
    open.push(openPipe(holder, stdoutFd, "read"));
    open.push(openPipe(holder, stderrFd, "read"));
    if (stdinFd !== undefined) open.push(openPipe(holder, stdinFd, "write"));
  } catch (error) {
    for (const fd of open) closeSync(fd);
    throw error;
  }
  const [stdout, stderr, stdin] = open;
  return { stdin: new StdinWriter(stdin), stdout: new PipeReader(stdout), stderr: new PipeReader(stderr) };
}

/** Pipes of a command whose ends are lost. */
export const lostPipes = (): CommandPipes => ({
  stdin: new StdinWriter(),
  stdout: new PipeReader(),
  stderr: new PipeReader(),
});
