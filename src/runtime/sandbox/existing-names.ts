import { codeOf, namesIn } from "./posix.ts";

/** A path, split into the part that exists and the names that are missing below it. */
interface SplitPath {
  existing: string;
  missing: string[];
}

/**
 * Finds the longest part of an absolute path that exists. It asks for few of the parts: each question walks from the root.
 *
 * @param ask fails with ENOENT for a part that is missing
 * @throws each other error of `ask`
 */
export async function splitExisting(
  path: string,
  ask: (part: string) => Promise<unknown>,
): Promise<SplitPath> {
  const names = namesIn(path);
  const partOf = (count: number) => joinNames("/", names.slice(0, count));
  let [there, missing] = [0, names.length + 1];
  while (missing - there > 1) {
    const middle = (there + missing) >> 1;
    try {
      await ask(partOf(middle));
      there = middle;
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
      missing = middle;
    }
  }
  return { existing: partOf(there), missing: names.slice(there) };
}

/** Returns the path of names below a directory. */
export function joinNames(directory: string, names: readonly string[]): string {
  return `${directory === "/" ? "" : directory}/${names.join("/")}`;
}
