import { constants } from "node:os";
import util from "node:util";
import { AgentVmError } from "../../../../api/errors.ts";
import { codeOfErrno } from "../../posix.ts";

const FORK_FAILED = /Resource temporarily unavailable|Cannot fork/;

/** The VM or the server has no process or no descriptor left for what was to start, as fork(2) or pipe(2) said. */
export function refusal(errno: number): AgentVmError {
  const code = codeOfErrno(errno);
  return new AgentVmError(code, `${code}: ${util.getSystemErrorMessage(-errno)}, fork`, {
    hint: "End processes of the VM, or raise limits.processes or the server's own limit.",
  });
}

/** Finds the refusal of a fork in the error output of a program. */
export function refusalIn(complaint: string): AgentVmError | undefined {
  return FORK_FAILED.test(complaint) ? refusal(constants.errno.EAGAIN) : undefined;
}
