import { type ProgramEnd, runProgram } from "./program.ts";
import { AGENT_VM_PROGRAM } from "./server-process.ts";

/** Runs `agent-vm backup`. */
export function runBackup(data: string, target: string, ...options: string[]): Promise<ProgramEnd> {
  return runProgram([AGENT_VM_PROGRAM, "backup", target, "--data", data, ...options]);
}

/** Runs `agent-vm restore`. */
export function runRestore(backup: string, data: string, ...options: string[]): Promise<ProgramEnd> {
  return runProgram([AGENT_VM_PROGRAM, "restore", backup, "--data", data, ...options]);
}
