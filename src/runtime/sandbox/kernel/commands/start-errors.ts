import { constants } from "node:os";
import util from "node:util";
import { AgentVmError, type ErrorCode, type PosixCode } from "../../../../api/errors.ts";
import type { FileSystem } from "../../files.ts";
import { codeOfErrno } from "../../posix.ts";

const FORK_FAILED = /Resource temporarily unavailable|Cannot fork/;

/** The VM has no process or no descriptor left for what was to start, as fork(2) or pipe(2) said. */
export function refusal(errno: number): AgentVmError {
  const code = codeOfErrno(errno);
  return new AgentVmError(code, `${code}: ${util.getSystemErrorMessage(-errno)}, fork`, {
    hint: "End processes of the VM, or raise limits.processes.",
  });
}

/** Finds the refusal of a fork in the error output of a program. */
export function refusalIn(complaint: string): AgentVmError | undefined {
  return FORK_FAILED.test(complaint) ? refusal(constants.errno.EAGAIN) : undefined;
}

/** The command's working directory cannot be entered. */
export class CwdError extends Error {
  readonly cwd: string;

  constructor(cwd: string) {
    super(`cannot change to ${cwd}`);
    this.cwd = cwd;
  }
}

const REASONS: { [Code in ErrorCode | PosixCode]?: string } = {
  ENOENT: "no such file or directory",
  ENOTDIR: "not a directory",
  EACCES: "permission denied",
  ELOOP: "too many symbolic links encountered",
};

/** Why a command could not change to its working directory. */
export async function cwdError(files: FileSystem, cwd: string): Promise<AgentVmError> {
  const code = await reasonCode(files, cwd);
  return new AgentVmError(code, `${code}: ${REASONS[code] ?? "cannot be entered"}, chdir '${cwd}'`, {
    path: cwd,
  });
}

async function reasonCode(files: FileSystem, cwd: string): Promise<ErrorCode | PosixCode> {
  try {
    const { isDirectory } = await files.stat(cwd);
    return isDirectory ? "EACCES" : "ENOTDIR";
  } catch (error) {
    return error instanceof AgentVmError ? error.code : "ENOENT";
  }
}
