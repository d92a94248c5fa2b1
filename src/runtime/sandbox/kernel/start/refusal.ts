import { constants } from "node:os";
import { getSystemErrorMap } from "node:util";
import { AgentVmError } from "../../../../api/errors.ts";

const FORK_FAILED = /Resource temporarily unavailable|Cannot fork/;

/** The VM has no process or no descriptor left for what was to start, as fork(2) or pipe(2) said. */
export function refusal(errno: number): AgentVmError {
  const [code, message] = getSystemErrorMap().get(-errno) ?? ["EAGAIN", "resource temporarily unavailable"];
  return new AgentVmError(code, `${code}: ${message}, fork`, {
    hint: "The VM has as many processes as limits.processes allows.",
  });
}

/** The same, from what a program said that could not fork. */
export function refusalIn(complaint: string): AgentVmError | undefined {
  return FORK_FAILED.test(complaint) ? refusal(constants.errno.EAGAIN) : undefined;
}
