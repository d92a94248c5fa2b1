import { invalidArgument } from "../../api/errors.ts";
import { MAX_ARGUMENTS } from "../../api/limits.ts";
import type { Env } from "../../api/values.ts";
import type { CommandRequest, ProgramCall, ShellLine } from "../sandbox/processes.ts";
import type { VmServices } from "../vm-services.ts";
import { BASE_ENV } from "./base-env.ts";

const TERMINAL_ENV: Env = { TERM: "xterm-256color", PAGER: "less" };

/** Defaults of a command, from the options of its VM. */
type CommandDefaults = Pick<VmServices, "env" | "cwd">;

/** The base variables, overridden by the VM's options, overridden by the call's options. */
export function commandEnv(options: Env, call: Env = {}): Env {
  return { ...BASE_ENV, ...options, ...call };
}

/** Variables of a shell on a terminal: like `commandEnv`, with `TERM` and a pager. */
export function terminalEnv(options: Env, call: Env = {}): Env {
  return commandEnv({ ...TERMINAL_ENV, ...options }, call);
}

export async function resolveCommand(
  program: ProgramCall | ShellLine,
  options: { env?: Env; cwd?: string },
  defaults: CommandDefaults,
): Promise<CommandRequest> {
  // createVm() passes arguments on without the checks of the wire.
  if ("args" in program && program.args.length > MAX_ARGUMENTS)
    throw invalidArgument("args", `at most ${MAX_ARGUMENTS} strings`, program.args);
  const env = commandEnv(await defaults.env(), options.env);
  return { ...program, env, cwd: options.cwd ?? defaults.cwd };
}
