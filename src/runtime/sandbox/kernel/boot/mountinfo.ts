import { readFileSync } from "node:fs";

export interface Mount {
  path: string;
  options: string[];
}

/** The server's own mounts, in the order in which they were made. See proc_pid_mountinfo(5). */
export function readMounts(): Mount[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
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

/** `true` if the host runs no programs of the path's file system. Then VMs run none either. */
export function forbidsPrograms(path: string, mounts: readonly Mount[]): boolean {
  return mountOf(path, mounts)?.options.includes("noexec") ?? false;
}
