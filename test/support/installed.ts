import { spawnSync } from "node:child_process";

/** Returns whether all programs are installed. */
export const has = (...programs: string[]): boolean =>
  programs.every((program) => spawnSync("sh", ["-c", `command -v ${program}`]).status === 0);

/** Skips a test whose programs are not installed, with their names. @param skip function of the test's context */
export function needs(skip: (reason: string) => void, ...programs: string[]): void {
  const missing = programs.filter((program) => !has(program));
  if (missing.length > 0) skip(`not installed: ${missing.join(", ")}`);
}
