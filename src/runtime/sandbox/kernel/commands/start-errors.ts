import { AgentVmError, type ErrorCode, type PosixCode } from "../../../../api/errors.ts";
import type { FileSystem } from "../../files.ts";

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
