import { accessSync, constants, statSync } from "node:fs";
import type { Entry } from "../commands/command.ts";
import { helperCommand, helperSource } from "./programs.ts";

const PROGRAM = helperSource("enter");
const SPAWNER = helperSource("spawner");

/**
 * The command that starts a program inside, which has the terminal of the process that enters. That process stays outside,
 * where nothing inside can stop it.
 */
export function enterCommand(entry: Entry, program: readonly string[]): [file: string, ...args: string[]] {
  return helperCommand(entry.tools.perl, PROGRAM, [...settings(entry, 0), ...program]);
}

/** The launcher's command for a spawner, which has a session of its own. */
export function spawnerCommand(entry: Entry): [file: string, ...args: string[]] {
  const { tools, processes, spawner } = entry;
  const program = spawner === "" ? [] : helperCommand(tools.perl, spawner, []);
  return ["enter", ...settings(entry, processes), ...program];
}

const settings = ({ initPid, owner, openFiles, filter, cgroupProcs }: Entry, processes: number): string[] => [
  ...[initPid, owner?.uid ?? -1, owner?.gid ?? -1, openFiles, processes].map(String),
  ...[filter, String(cgroupProcs.length), ...cgroupProcs],
];

/** Text of a spawner that is a program of its own; `""` if it is a fork, which keeps the host's perl. */
export function spawnerText(perl: string, owner: Entry["owner"]): string {
  return isReplaceable(perl, owner) ? SPAWNER : "";
}

/** `true` if a program of the VM that can look at a process of perl could write into the host's perl. */
function isReplaceable(perl: string, owner: Entry["owner"]): boolean {
  // Nothing in the VM of a root server may look at the spawner.
  if (owner !== null) return false;
  try {
    // Its owner may make it writable.
    if (statSync(perl).uid === process.getuid?.()) return true;
    accessSync(perl, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
