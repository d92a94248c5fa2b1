import { constants } from "node:os";
import util from "node:util";
import { isPosixCode } from "../../api/error-codes.ts";
import { AgentVmError, type ErrorCode, type PosixCode } from "../../api/errors.ts";

/** Opens a path without opening its file: no device acts, and no FIFO waits. Equal on every architecture of Node. */
export const O_PATH = 0o10000000;

/** The system call that failed and the caller's path, for the text of a POSIX error. */
export interface Call {
  syscall: string;
  path: string;
  /** Second path of rename and symlink. */
  destination?: string;
}

/** How a path is resolved. */
export interface WalkOptions {
  /** Whether a symbolic link at the end of the path is followed. */
  follow: boolean;
}

/** How a path is resolved, and what an error says about it. */
export interface VisitOptions extends WalkOptions {
  /** Paths that an error names. @default the path that is resolved */
  named?: Omit<Call, "syscall">;
}

/**
 * Symbolic links that one path may follow, as in the kernel (MAXSYMLINKS).
 * @unit links
 * @past The path is refused.
 * @code ELOOP
 */
export const MAX_LINKS = 40;

/**
 * Names of one path, with those in the links that it follows: as many as fit into a path of the kernel. The server looks all of them up in
 * one turn.
 * @unit names
 * @past The path is refused, with `ELOOP` if it has followed a link.
 * @code ENAMETOOLONG
 */
export const MAX_WALKED_NAMES = 2_048;

/** Messages for codes that libuv does not know. It would say "Unknown system error -122". */
const OWN_TEXTS: { [Code in PosixCode]?: string } = { EDQUOT: "disk quota exceeded" };

const ERRNO_BY_CODE: Readonly<Record<string, number>> = constants.errno;

const CODE_BY_ERRNO = new Map<number, PosixCode>();
for (const [code, errno] of Object.entries(ERRNO_BY_CODE)) {
  if (isPosixCode(code) && !CODE_BY_ERRNO.has(errno)) CODE_BY_ERRNO.set(errno, code);
}

/** Quotes a word for a shell line. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Splits a path into its names, without empty ones and `.`. */
export function namesIn(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

/** `true` if a path ends with `/` or `/.` and so asks for a directory. `/` itself does not. */
export function endsWithSlash(path: string): boolean {
  return path.length > 1 && (path.endsWith("/") || path.endsWith("/."));
}

/** Creates an error with a message in Node's form: `ENOENT: no such file or directory, open '/x'`. */
export function posixError(code: PosixCode, call: Call, detail?: string): AgentVmError {
  const { syscall, path, destination } = call;
  const text = detail ?? textOf(code);
  const where = destination === undefined ? `'${path}'` : `'${path}' -> '${destination}'`;
  return new AgentVmError(code, `${code}: ${text}, ${syscall} ${where}`, { syscall, path });
}

/** Creates the error for a write to a read-only place, such as /proc or the host's /usr. */
export function readOnlyPath(path: string): AgentVmError {
  return new AgentVmError("EROFS", `Path is read-only: ${path}`, { path });
}

/** Creates the error for a file that is larger than the caller accepts. */
export function fileTooLarge(call: Call, bytes: number, maximum: number): AgentVmError {
  const { message } = posixError("EFBIG", call);
  return new AgentVmError("EFBIG", message, { syscall: call.syscall, path: call.path, bytes, maximum });
}

/**
 * Creates the error for a FIFO, device or socket. File actions neither read nor write them: the call could block, or
 * reach something outside the VM.
 */
export function notRegularFile(call: Call, kind: string): AgentVmError {
  return posixError("EINVAL", call, `not a regular file but a ${kind}`);
}

/**
 * Puts the caller's path into a system error. Node's message would name `/proc/self/fd/21/x`.
 * @returns any other error unchanged
 */
export function asPosixError(error: unknown, call: Call): unknown {
  if (error instanceof AgentVmError) return error;
  const code = systemCode(error);
  return code === undefined ? error : posixError(code, call);
}

/** Returns the name of an error number, such as `ENOENT` for 2. `EIO` for numbers outside PosixCode. */
export function codeOfErrno(errno: number): PosixCode {
  return CODE_BY_ERRNO.get(errno) ?? "EIO";
}

/** Returns the code of an `AgentVmError` or of a Node system error. `undefined` for any other error. */
export function codeOf(error: unknown): ErrorCode | PosixCode | undefined {
  return error instanceof AgentVmError ? error.code : systemCode(error);
}

function systemCode(error: unknown): PosixCode | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, errno } = error as NodeJS.ErrnoException;
  if (typeof errno !== "number") return undefined;
  return code !== undefined && isPosixCode(code) ? code : codeOfErrno(-errno);
}

function textOf(code: PosixCode): string {
  const own = OWN_TEXTS[code];
  if (own !== undefined) return own;
  const errno = ERRNO_BY_CODE[code];
  return errno === undefined ? "unknown error" : util.getSystemErrorMessage(-errno);
}
