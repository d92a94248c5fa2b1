/** Codes of a process, or a host, that has no free descriptor. */
const TABLE_FULL: readonly unknown[] = ["EMFILE", "ENFILE"];

/** Returns the code of an error of Node or of this package, such as `ENOENT`. */
function codeOf(error: unknown): unknown {
  return Object(error).code;
}

/** Returns whether the process, or the host, has no free descriptor. */
export function isTableFull(error: unknown): boolean {
  return TABLE_FULL.includes(codeOf(error));
}

/** Returns whether there was no room to open a file. Such an error says nothing about the file. */
export function isShortage(error: unknown): boolean {
  return isTableFull(error) || codeOf(error) === "ENOMEM";
}

/** Opens, reads or lists something. @returns `undefined` if it does not exist */
export function ifThere<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
