import { chmodSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { helperSource } from "../helpers/programs.ts";

/**
 * Writes programs that call the server into the folder of the host's programs. All are one program, which sends the name
 * that it was started by.
 *
 * @param names of the programs
 */
export function makeCallers(folder: string, perl: string, names: readonly string[]): void {
  const [first, ...others] = names;
  if (first === undefined) return;
  const path = join(folder, "bin", first);
  writeFileSync(path, `#!${perl}\n${helperSource("caller")}`);
  chmodSync(path, 0o755);
  for (const name of others) symlinkSync(first, join(folder, "bin", name));
}
