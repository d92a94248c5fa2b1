import { quote } from "../../posix.ts";
import type { ProgramCall, ProgramOptions } from "../../processes.ts";

/** A variable that the shell can export; others go through env(1). */
const SHELL_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Lines that the shell writes before it becomes the program. */
export const LAUNCHED = "launched";
export const NO_CWD = "no-cwd";

interface TerminalScriptOptions {
  processes: number;
  openFiles: number;
  /** Path of env(1) in the VM. */
  env: string;
}

/**
 * Script by which a shell on a terminal becomes the program. The environment arrives here, after the shell has entered the
 * VM without privileges: an LD_PRELOAD of the caller must not reach a program that enters.
 */
export function terminalScript(
  { command, args, env, cwd }: ProgramCall & ProgramOptions,
  { processes, openFiles, env: envTool }: TerminalScriptOptions,
): string {
  const variables = Object.entries(env);
  const exported = variables.filter(([name]) => SHELL_NAME.test(name));
  const others = variables
    .filter(([name]) => !SHELL_NAME.test(name))
    .map(([name, value]) => quote(`${name}=${value}`));
  const words = [command, ...args].map(quote).join(" ");
  const prefix = others.length === 0 ? "" : `${envTool} ${others.join(" ")} `;
  return [
    "{",
    "echo $$",
    "umask 022",
    `ulimit -n ${openFiles}`,
    // bash and most others say -u, dash says -p. The VM itself has room for more, as a way in when it is full.
    `ulimit -u ${processes} 2>/dev/null || ulimit -p ${processes}`,
    `cd ${quote(cwd)} 2>/dev/null || { echo ${NO_CWD}; exit 0; }`,
    // cd exports both; a command gets them from its caller or not at all.
    "unset PWD OLDPWD",
    ...exported.map(([name, value]) => `export ${name}=${quote(value)}`),
    `echo ${LAUNCHED}`,
    // The shell's own words for it would name this script.
    `${found(command)} || { echo ${quote(`${command}: not found`)} >&2; exit 127; }`,
    `exec ${prefix}${words}`,
    "}",
    "",
  ].join("\n");
}

function found(command: string): string {
  return command.includes("/") ? `[ -e ${quote(command)} ]` : `command -v -- ${quote(command)} >/dev/null`;
}
