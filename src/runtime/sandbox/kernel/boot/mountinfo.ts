import { readFileSync } from "node:fs";

export interface Mount {
  path: string;
  options: string[];
}

/** The server's own mounts, in the order in which they were made. See proc_pid_mountinfo(5). */
export function readMounts(text = readFileSync("/proc/self/mountinfo", "utf8")): Mount[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const fields = line.split(" ");
      return { path: unescapeOctal(fields[4] ?? ""), options: (fields[5] ?? "").split(",") };
    });
}

/** Spaces, tabs, newlines and backslashes appear as \040 and the like. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

export function isBelow(path: string, folder: string): boolean {
  return folder === "/" ? path !== "/" : path.startsWith(`${folder}/`);
}

/** Returns the mount of a path: the deepest mount point above it, and the newest mount there. */
function mountOf(path: string, mounts: readonly Mount[]): Mount | undefined {
  let found: Mount | undefined;
  for (const mount of mounts) {
    const holds = mount.path === path || isBelow(path, mount.path);
    if (holds && mount.path.length >= (found?.path.length ?? 0)) found = mount;
  }
  return found;
}

/** Flags that a user namespace may not take off a mount it inherited; a remount without them is EPERM. */
const LOCKED_FLAGS = ["nodev", "noexec"];

/** Options of a read-only bind mount of a path: the strictest that leave programs usable. */
export function readOnlyBindOptions(path: string, mounts: readonly Mount[]): string {
  const kept = (mountOf(path, mounts)?.options ?? []).filter((option) => LOCKED_FLAGS.includes(option));
  return ["ro", "nosuid", ...new Set(["nodev", ...kept])].join(",");
}
