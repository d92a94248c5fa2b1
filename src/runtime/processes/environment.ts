import type { Env } from "../../api/types.ts";
import { VM_HOME, VM_HOSTNAME, VM_PATH, VM_USER } from "../sandbox/sandbox.ts";

/** What every command finds, whoever starts it. Nothing of the host's environment is among it. */
const BASE_ENV: Env = {
  HOME: VM_HOME,
  USER: VM_USER,
  LOGNAME: VM_USER,
  SHELL: "/bin/bash",
  PATH: VM_PATH,
  LANG: "C.UTF-8",
  HOSTNAME: VM_HOSTNAME,
  PAGER: "cat",
  TMPDIR: "/tmp",
};

const TERMINAL_ENV: Env = { TERM: "xterm-256color", PAGER: "less" };

/** The base, then the actor's options, then the call's own. */
export function commandEnv(options: Env, call: Env = {}): Env {
  return { ...BASE_ENV, ...options, ...call };
}

export function terminalEnv(options: Env, call: Env = {}): Env {
  return { ...BASE_ENV, ...TERMINAL_ENV, ...options, ...call };
}
