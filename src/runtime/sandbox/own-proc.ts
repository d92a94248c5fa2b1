import { readFileSync } from "node:fs";

/**
 * Reads a file of procfs about the server itself, on which a wall depends.
 *
 * @returns `undefined` if the kernel has no such file
 * @throws Error if it cannot be read now, for example because the server has no descriptor left
 */
export function readOwnProc(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
