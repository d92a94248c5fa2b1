import { InvalidArgumentError } from "commander";
import { AgentVmError } from "../api/errors.ts";

/** Exit codes of the program. docs/cli.md lists them. */
export const EXIT = {
  failed: 1,
  usage: 2,
  partly: 3,
  notFound: 4,
  refused: 5,
  unreachable: 6,
  timeout: 124,
  notRun: 125,
  interrupted: 130,
} as const;

/** Meaning of each exit code, for docs/cli.md. */
export const EXIT_CODES: readonly (readonly [code: string, meaning: string])[] = [
  ["0", "The command has done its work, or the reader of its output has gone, as `head` does."],
  [`${EXIT.failed}`, "The command failed. `backup` and `restore` have made nothing."],
  [`${EXIT.usage}`, "The arguments are wrong, or a question would need a terminal. Nothing was done."],
  [`${EXIT.partly}`, "The command has done a part: a backup lacks VMs, or a copy lacks files."],
  [
    `${EXIT.notFound}`,
    "Something does not exist: a VM, a file, a process, a session. `cron rm` and `preview rm` of something unknown do nothing and exit with 0.",
  ],
  [`${EXIT.refused}`, "The token is missing or does not allow this, or a file may not be used."],
  [`${EXIT.unreachable}`, "The server cannot be reached."],
  [`${EXIT.timeout}`, "`exec` and `run`: the timeout ended the command."],
  [
    `${EXIT.notRun}`,
    "`exec`, `run` and `shell`: the command could not be run. The codes 1 and 3 to 6 are the command's own here.",
  ],
  [
    `${EXIT.interrupted}`,
    "Ctrl-C ended the command. Commands that only Ctrl-C ends exit with 0 then, such as `watch`, `tunnel` and `net log -f`.",
  ],
  [
    "any other",
    "`exec`, `run` and `shell`: the exit code of the command in the VM; 128 + n when signal n ended it.",
  ],
];

/** Wrong arguments that the parser of the command line does not see. */
export class UsageError extends Error {}

/** An action failed. Carries what the program needs to report it. */
export class ActionFailure extends Error {
  readonly json: boolean;
  readonly exitCode: number;

  /** @param notRun exit code of every failure, of a command whose exit code is that of a program in the VM */
  constructor(cause: unknown, { json, notRun }: { json: boolean; notRun?: number | undefined }) {
    super("the action failed", { cause });
    this.json = json;
    this.exitCode = isUsageError(cause) ? EXIT.usage : (notRun ?? exitCodeOf(cause));
  }
}

/** Returns the exit code that fits an error. */
export function exitCodeOf(error: unknown): number {
  if (isUsageError(error)) return EXIT.usage;
  if (!(error instanceof AgentVmError)) return Object(error).code === "ENOENT" ? EXIT.notFound : EXIT.failed;
  if (error.code === "invalid_argument") return EXIT.usage;
  if (error.code === "connection_lost") return EXIT.unreachable;
  if (error.status === 404 || error.status === 410) return EXIT.notFound;
  return error.status === 401 || error.status === 403 ? EXIT.refused : EXIT.failed;
}

/** Whether arguments are wrong. The readers of values throw the parser's error. */
export function isUsageError(error: unknown): boolean {
  return error instanceof UsageError || error instanceof InvalidArgumentError;
}
