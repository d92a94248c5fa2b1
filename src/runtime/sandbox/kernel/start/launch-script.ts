import type { CommandRequest } from "../../sandbox.ts";
import { quote } from "../../shell-word.ts";

/** A variable that the shell can export; others go through env(1). */
const SHELL_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Lines that the launcher shell writes before it becomes the command. */
export const LAUNCHED = "launched";
export const NO_CWD = "no-cwd";

/** Descriptors of the launcher shell's pipes: what a command reads, and both ends of what it writes. */
export const STDIN_FD = 3;
export const STDOUT_FD = 4;
export const STDERR_FD = 6;

/** How the command's stdio is taken from them. */
const TAKE_OUTPUT = "1>&5 2>&7 3<&- 4<&- 5>&- 6<&- 7>&-";
export const WITH_STDIN = `0<&3 ${TAKE_OUTPUT}`;
export const WITHOUT_STDIN = `0</dev/null ${TAKE_OUTPUT}`;

/**
 * Makes three pipes in the launcher shell and says its pid. Node would give a command sockets, and a program that
 * opens /dev/stdin or /dev/stderr by name gets ENXIO from a socket; a FIFO of a file system could be opened again, but
 * blocks an opener that finds nobody at its other end. A shell's here-document is a pipe without a name, and /proc
 * opens both of its ends; the server takes its own from there.
 */
export const PREPARE = [
  ...pipe(STDIN_FD),
  ...pipe(STDOUT_FD),
  `exec ${STDOUT_FD + 1}>/proc/self/fd/${STDOUT_FD}`,
  ...pipe(STDERR_FD),
  `exec ${STDERR_FD + 1}>/proc/self/fd/${STDERR_FD}`,
  "echo $$",
  "",
].join("\n");

/** bash makes no pipe for an empty document, so there is a line in it, which is read at once. */
function pipe(fd: number): string[] {
  return [`exec ${fd}<<'E'`, "", "E", `read -r _ <&${fd}`];
}

export interface LaunchSettings {
  processes: number;
  openFiles: number;
  /** Path of env(1) in the VM. */
  env: string;
}

/**
 * What turns the waiting shell of a launcher into the command. The environment arrives here, after the shell has
 * entered the VM and dropped its privileges: an LD_PRELOAD of the caller's must not reach nsenter or setpriv.
 */
export function launchScript(
  { command, args, env, cwd }: CommandRequest,
  { processes, openFiles, env: envTool }: LaunchSettings,
  redirection: string,
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
    "umask 022",
    `ulimit -n ${openFiles}`,
    // bash and most others say -u, dash says -p. The VM itself has room for more, as a way in when it is full.
    `ulimit -u ${processes} 2>/dev/null || ulimit -p ${processes}`,
    "ulimit -c 0",
    // The kernel should end a VM's process before the server's.
    "{ echo 500 > /proc/self/oom_score_adj; } 2>/dev/null",
    `cd ${quote(cwd)} 2>/dev/null || { echo ${NO_CWD}; exit 0; }`,
    // cd exports both; a command gets them from its caller or not at all.
    "unset PWD OLDPWD",
    ...exported.map(([name, value]) => `export ${name}=${quote(value)}`),
    `echo ${LAUNCHED}`,
    // The shell's own words for it would name this script.
    `${found(command)} || { echo ${quote(`${command}: not found`)} >&2; exit 127; } ${redirection}`,
    `exec ${prefix}${words} ${redirection}`,
    "}",
    "",
  ].join("\n");
}

function found(command: string): string {
  return command.includes("/") ? `[ -e ${quote(command)} ]` : `command -v -- ${quote(command)} >/dev/null`;
}
