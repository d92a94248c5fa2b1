import { spawnSync } from "node:child_process";
import { findTool, SYSTEM_PATH } from "../tools.ts";

/** Outcome of one check of the host. */
export interface Check {
  name: string;
  /** `false` only if VMs cannot run without it. */
  ok: boolean;
  detail: string;
  /** Steps, each of which may be needed. Empty if nothing is missing. */
  fixes: readonly string[];
}

/** Facts of a check, with the steps to take if it fails. */
type RequiredCheck = Omit<Check, "fixes"> & { fixes?: readonly string[] };

type WantedCheck = Omit<Check, "ok"> & { isThere: boolean };

/** Milliseconds for a program that takes a few on an idle host. */
const RUN_TIMEOUT_MS = 30_000;

/** Result of a check for a requirement of VMs. */
export function required({ name, ok, detail, fixes = [] }: RequiredCheck): Check {
  return { name, ok, detail, fixes: ok ? [] : fixes };
}

/** Result of a check for an optional improvement of VMs. */
export function wanted({ name, isThere, detail, fixes }: WantedCheck): Check {
  return { name, ok: true, detail, fixes: isThere ? [] : fixes };
}

/** Runs a program of the host to its end. */
export function run(tool: string, args: readonly string[]): { ok: boolean; output: string } {
  const path = findTool(tool);
  if (path === undefined) return { ok: false, output: `${tool} not found` };
  const { status, error, stdout, stderr } = spawnSync(path, args, {
    encoding: "utf8",
    timeout: RUN_TIMEOUT_MS,
    killSignal: "SIGKILL",
    env: { PATH: SYSTEM_PATH },
  });
  const isLate = (error as NodeJS.ErrnoException | undefined)?.code === "ETIMEDOUT";
  const failure = isLate ? `no answer of ${tool} within ${RUN_TIMEOUT_MS / 1000} s` : error?.message;
  return { ok: status === 0, output: (failure ?? `${stdout}${stderr}`).trim() };
}
