import { accessSync, constants, realpathSync } from "node:fs";
import { join } from "node:path";

/** Programs of the host that build and enter a VM; all from util-linux, coreutils and the shell. */
const REQUIRED = [
  "unshare",
  "nsenter",
  "setpriv",
  "prlimit",
  "mount",
  "umount",
  "pivot_root",
  "script",
  "sh",
  "env",
  "cat",
  "cp",
  "install",
] as const;

/** What a VM is better with: a loopback that is up, a host name of its own, bash for `exec`. */
const OPTIONAL = ["bash", "hostname", "ip", "perl"] as const;

export type RequiredTool = (typeof REQUIRED)[number];
export type OptionalTool = (typeof OPTIONAL)[number];
export type Tools = Record<RequiredTool, string> & Record<OptionalTool, string | undefined>;

/** The host's PATH is not trusted: root's commands come from the system's folders only. */
export const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Absolute path of a program in the system's folders. */
export function findTool(name: string): string | undefined {
  // /usr comes first: it is what a VM sees, so that one path names a program on both sides.
  for (const folder of ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin", "/usr/local/sbin"]) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      realpathSync(path);
      return path;
    } catch {
      // Not here; the next folder may have it.
    }
  }
  return undefined;
}

export function missingTools(): RequiredTool[] {
  return REQUIRED.filter((name) => findTool(name) === undefined);
}

/** Every program's path; throws where a required one is missing. */
export function findTools(): Tools {
  const found: Record<string, string | undefined> = {};
  for (const name of [...REQUIRED, ...OPTIONAL]) found[name] = findTool(name);
  const missing = REQUIRED.filter((name) => found[name] === undefined);
  if (missing.length > 0) throw new Error(`not found on this host: ${missing.join(", ")}`);
  return found as Tools;
}
