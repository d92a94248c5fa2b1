import { constants } from "node:os";
import { getSystemErrorMessage } from "node:util";
import { AgentVmError } from "../../api/errors.ts";

/** What a POSIX error names: the system call that failed, and the caller's path. */
export interface Call {
  syscall: string;
  path: string;
  /** Second path of rename and symlink. */
  destination?: string;
}

/** Texts of codes that libuv does not know; it would say "Unknown system error -122". */
const OWN_TEXTS: Readonly<Record<string, string>> = { EDQUOT: "disk quota exceeded" };

const ERRNO_BY_CODE: Readonly<Record<string, number>> = constants.errno;

/** `ENOENT: no such file or directory, open '/x'`, as Node words it. */
export function posixError(code: string, call: Call, detail?: string): AgentVmError {
  const { syscall, path, destination } = call;
  const text = detail ?? textOf(code);
  const where = destination === undefined ? `'${path}'` : `'${path}' -> '${destination}'`;
  return new AgentVmError(code, `${code}: ${text}, ${syscall} ${where}`, { syscall, path });
}

/** A write to a place that no write may change, such as /proc or the host's /usr. */
export function readOnlyPath(path: string): AgentVmError {
  return new AgentVmError("EROFS", `Path is read-only: ${path}`, { path });
}

/** A file that passes what the caller can take. */
export function fileTooLarge(call: Call, bytes: number, maximum: number): AgentVmError {
  const { message } = posixError("EFBIG", call);
  return new AgentVmError("EFBIG", message, { syscall: call.syscall, path: call.path, bytes, maximum });
}

/** A FIFO, device or socket, which file actions neither read nor write: it could block, or not be a file of the VM. */
export function notRegularFile(call: Call, kind: string): AgentVmError {
  return posixError("EINVAL", call, `not a regular file but a ${kind}`);
}

/** The same error in the caller's words: Node's message would name `/proc/self/fd/21/x`. Others pass unchanged. */
export function asPosixError(error: unknown, call: Call): unknown {
  if (error instanceof AgentVmError) return error;
  const code = codeOf(error);
  return code === undefined ? error : posixError(code, call);
}

/** The name of a number, e.g. `ENOENT` of 2. */
export function codeOfErrno(errno: number): string {
  return Object.keys(ERRNO_BY_CODE).find((name) => ERRNO_BY_CODE[name] === errno) ?? "EIO";
}

/** The POSIX code of an error from Node or from here. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, errno } = error as NodeJS.ErrnoException;
  if (error instanceof AgentVmError) return error.code;
  if (typeof errno !== "number") return undefined;
  if (typeof code === "string" && Object.hasOwn(ERRNO_BY_CODE, code)) return code;
  return Object.keys(ERRNO_BY_CODE).find((name) => ERRNO_BY_CODE[name] === -errno);
}

function textOf(code: string): string {
  const own = OWN_TEXTS[code];
  if (own !== undefined) return own;
  const errno = ERRNO_BY_CODE[code];
  return errno === undefined ? "unknown error" : getSystemErrorMessage(-errno);
}
