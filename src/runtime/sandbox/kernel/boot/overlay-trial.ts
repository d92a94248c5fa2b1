import { execFile } from "node:child_process";
import { constants } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { hasOwnUids } from "../../own-uids.ts";
import { helperCommand, helperSource } from "../helpers/programs.ts";
import { SYSTEM_PATH, type Tools } from "../tools.ts";

const { errno: ERRNO } = constants;

/**
 * Errors of mount(2) that hold however often it is tried:
 * - the kernel has no overlayfs (ENODEV, ENOSYS, EOPNOTSUPP),
 * - the kernel refuses it in a user namespace, as before Linux 5.11, or a security module or a filter of system calls does
 *   (EPERM, EACCES),
 * - the folder's file system cannot be a layer, or is an overlay of overlays already (EINVAL),
 * - the folder has the other layer in it (ELOOP).
 */
const LASTING: ReadonlySet<number> = new Set([
  ...[ERRNO.ENODEV, ERRNO.ENOSYS, ERRNO.EOPNOTSUPP],
  ...[ERRNO.EPERM, ERRNO.EACCES, ERRNO.EINVAL, ERRNO.ELOOP],
]);

const TRIES = 3;

/** Milliseconds for one try, and between two of them. */
const TRY_TIMEOUT_MS = 10_000;
const PAUSE_MS = 200;

/**
 * Tries whether the kernel makes an overlay of layers.
 *
 * @param layers option of mount(8) that names the layers
 * @param folder a folder to mount over, in a mount namespace of its own
 * @returns `false` if it never does
 * @throws Error if the trial failed for another reason, for example because the host is short of memory or processes.
 * A VM must not boot with a weaker wall for that
 */
export async function takesOverlay(
  layers: string,
  folder: string,
  tools: Pick<Tools, "unshare" | "perl">,
): Promise<boolean> {
  let reason = "";
  for (let tries = 0; tries < TRIES; tries++) {
    if (tries > 0) await delay(PAUSE_MS);
    const { errno, detail } = await tryOverlay(layers, folder, tools);
    if (errno === 0) return true;
    if (errno !== undefined && LASTING.has(errno)) return false;
    reason = detail;
  }
  throw new Error(`the overlay of a shared folder could not be tried (${reason}); the next call tries again`);
}

/** @returns the error number of mount(2), or none if the mount was not tried */
function tryOverlay(
  layers: string,
  folder: string,
  { unshare, perl }: Pick<Tools, "unshare" | "perl">,
): Promise<{ errno: number | undefined; detail: string }> {
  const namespaces = hasOwnUids() ? ["--mount"] : ["--user", "--map-root-user", "--mount"];
  const command = helperCommand(perl, helperSource("overlay"), [layers, folder]);
  const settings = { timeout: TRY_TIMEOUT_MS, killSignal: "SIGKILL", env: { PATH: SYSTEM_PATH } } as const;
  return new Promise((resolve) => {
    const answer = (error: Error | null, stdout: string, stderr: string) => {
      const number = /^(\d+)\n$/.exec(stdout)?.[1];
      const errno = error === null && number !== undefined ? Number(number) : undefined;
      resolve({ errno, detail: errno === undefined ? failure(error, stderr) : `mount: ${nameOf(errno)}` });
    };
    try {
      execFile(unshare, [...namespaces, "--", ...command], settings, answer);
    } catch (error) {
      // Node throws if it cannot make the pipes of the program.
      answer(error instanceof Error ? error : new Error(String(error)), "", "");
    }
  });
}

function failure(error: (Error & { killed?: boolean }) | null, stderr: string): string {
  if (error?.killed) return `no answer within ${TRY_TIMEOUT_MS} ms`;
  // The message of a program that failed has its whole command.
  return stderr.trim() || error?.message.split("\n")[0]?.slice(0, 200) || "no answer";
}

function nameOf(errno: number): string {
  return Object.entries(ERRNO).find(([, number]) => number === errno)?.[0] ?? `error ${errno}`;
}
