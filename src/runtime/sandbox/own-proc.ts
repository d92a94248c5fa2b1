import { readFileSync } from "node:fs";
import { ifThere } from "../../base/system-errors.ts";

/**
 * Reads a file of procfs about the server itself, on which a wall depends.
 *
 * @returns `undefined` if the kernel has no such file
 * @throws Error if it cannot be read now, for example because the server has no descriptor left
 */
export function readOwnProc(path: string): string | undefined {
  return ifThere(() => readFileSync(path, "utf8"));
}

/** Returns a limit of the server itself by its title in /proc/self/limits, see getrlimit(2); `Infinity` without a limit. */
export function ownLimit(title: string, kind: "soft" | "hard"): number {
  const limits = readOwnProc("/proc/self/limits") ?? "";
  const found = new RegExp(`^${title}\\s+(\\S+)\\s+(\\S+)`, "m").exec(limits)?.[kind === "soft" ? 1 : 2];
  return found === undefined || found === "unlimited" ? Number.POSITIVE_INFINITY : Number(found);
}
