import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { onTestFinished } from "vitest";
import { testFolder } from "./temporary-folder.ts";

/**
 * Mounts a small disk for the rest of the test. Skips the test if this user may not.
 *
 * @param size as tmpfs(5) takes it, e.g. `"4m"`
 * @returns its folder
 */
export function smallDisk(skip: (note: string) => never, size: string): string {
  const folder = testFolder();
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${size},mode=700`, "tmpfs", folder]);
  if (mounted.status !== 0) skip("only root may mount a small disk");
  onTestFinished(() => void spawnSync("umount", ["-l", folder]));
  return folder;
}

/** Fills the disk of a file to its last page. */
export function fillDisk(path: string): void {
  for (const size of [1_048_576, 65_536, 4_096]) {
    for (let piece = 0; ; piece++) {
      try {
        writeFileSync(path, new Uint8Array(size), { flag: "a" });
      } catch {
        break;
      }
      if (piece > 4_096) throw new Error("The disk does not become full");
    }
  }
}
