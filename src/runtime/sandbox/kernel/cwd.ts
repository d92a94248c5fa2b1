import { AgentVmError } from "../../../api/errors.ts";
import type { FileSystem } from "../files.ts";

const REASONS: Record<string, string> = {
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

async function reasonCode(files: FileSystem, cwd: string): Promise<string> {
  try {
    const { isDirectory } = await files.stat(cwd);
    return isDirectory ? "EACCES" : "ENOTDIR";
  } catch (error) {
    return error instanceof AgentVmError ? error.code : "ENOENT";
  }
}
