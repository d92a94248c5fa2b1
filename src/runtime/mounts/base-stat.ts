import { closeSync, constants, lstatSync, openSync, type Stats } from "node:fs";
import type { HostFolder } from "../sandbox/mounts.ts";
import { encodeName } from "../sandbox/names.ts";
import { namesIn, O_PATH } from "../sandbox/posix.ts";

const DIRECTORY = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Returns the path of a name in an open directory. */
function at(directory: number, name: string): string | Buffer {
  const encoded = encodeName(name);
  const start = `/proc/self/fd/${directory}/`;
  return typeof encoded === "string" ? start + encoded : Buffer.concat([Buffer.from(start), encoded]);
}

/**
 * Describes a file below a folder of the host. Follows no link: the names are a VM's, and must not tell it about files elsewhere.
 *
 * @param below path relative to the folder
 * @returns `undefined` if there is no such file
 */
export function statBelow({ folder, name }: HostFolder, below: string): Stats | undefined {
  const names = namesIn(`${name}/${below}`);
  const last = names.pop();
  let fd = -1;
  try {
    fd = openSync(folder, DIRECTORY);
    if (last === undefined) return lstatSync(`/proc/self/fd/${fd}/.`);
    for (const next of names) {
      const inner = openSync(at(fd, next), DIRECTORY);
      closeSync(fd);
      fd = inner;
    }
    return lstatSync(at(fd, last));
  } catch {
    return undefined;
  } finally {
    if (fd >= 0) closeSync(fd);
  }
}
