import type { FileSystem } from "../sandbox/files.ts";
import { codeOf, posixError } from "../sandbox/posix.ts";

/**
 * Removes a file, a link (never its target) or a directory. Asks the kernel first and looks afterwards: it alone knows
 * what the name is at that moment.
 */
export async function remove(fs: FileSystem, path: string, recursive: boolean): Promise<void> {
  if (path === "/") throw posixError("EBUSY", { syscall: "rmdir", path });
  try {
    await fs.unlink(path);
  } catch (error) {
    if (codeOf(error) !== "EISDIR") throw error;
    await (recursive ? fs.removeTree(path) : fs.rmdir(path));
  }
}
