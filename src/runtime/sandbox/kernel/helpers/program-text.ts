import { readFileSync } from "node:fs";

/*
 * The helper programs, in files beside this module. In the package this module contains their texts (scripts/package/programs.ts
 * writes it), so that a bundled server needs no file beside it.
 */

/** Text of a program in perl. */
export const perlText = (name: string): string =>
  readFileSync(new URL(`./${name}.pl`, import.meta.url), "utf8");
