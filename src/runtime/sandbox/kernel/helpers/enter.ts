import type { Entry } from "../commands/command.ts";
import { helperCommand, helperSource } from "./programs.ts";

const PROGRAM = helperSource("enter");

/**
 * The command that starts a program inside. Its parent outside cannot be stopped from inside. The spawner has a session of
 * its own; any other program has the terminal of the process that enters.
 */
export function enterCommand(
  { initPid, owner, openFiles, filter, cgroupProcs, tools }: Entry,
  program: readonly string[],
  isSpawner = false,
): [file: string, ...args: string[]] {
  const settings = [initPid, owner?.uid ?? -1, owner?.gid ?? -1, openFiles, isSpawner ? 1 : 0];
  return helperCommand(tools.perl, PROGRAM, [
    ...[...settings, filter, cgroupProcs.length],
    ...[...cgroupProcs, ...program],
  ]);
}
