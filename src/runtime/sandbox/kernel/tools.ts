import { accessSync, constants, realpathSync } from "node:fs";
import { join } from "node:path";

/** Programs of the host that build and enter a VM: from util-linux, coreutils, the shell and perl. */
const REQUIRED = ["unshare", "prlimit", "mount", "script", "sh", "env", "cat", "perl"] as const;

/** A program that improves a VM: bash for `exec`. */
const OPTIONAL = ["bash"] as const;

type RequiredTool = (typeof REQUIRED)[number];
type OptionalTool = (typeof OPTIONAL)[number];
export type Tools = Record<RequiredTool, string> & Record<OptionalTool, string | undefined>;

/** Folders of the system's programs. The server does not trust its own PATH, since it may run as root. */
export const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Returns the absolute path of a program in the system's folders. */
export function findTool(name: string): string | undefined {
  // /usr comes first: VMs see it, so that one path names a program on the host and in the VM.
  for (const folder of ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin", "/usr/local/sbin"]) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      realpathSync(path);
      return path;
    } catch {
      // The next folder may contain it.
    }
  }
  return undefined;
}

export function missingTools(): RequiredTool[] {
  return REQUIRED.filter((name) => findTool(name) === undefined);
}

/** Finds the paths of all programs. Throws if a required program is missing. */
export function findTools(): Tools {
  const found: Record<string, string | undefined> = {};
  for (const name of [...REQUIRED, ...OPTIONAL]) found[name] = findTool(name);
  const missing = REQUIRED.filter((name) => found[name] === undefined);
  if (missing.length > 0) throw new Error(`the host lacks the programs ${missing.join(", ")}: install them`);
  return found as Tools;
}
