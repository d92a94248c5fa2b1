import { randomUUID } from "node:crypto";
import type { FileSystem } from "../sandbox/files.ts";
import { codeOf } from "../sandbox/posix.ts";

const PATH = "/etc/machine-id";

/**
 * Gives a machine its id, see machine-id(5), unless it has one. The file is kept with the VM's other files. An id that
 * no checkpoint has stored is another one at the next boot.
 */
export async function giveMachineId(files: FileSystem): Promise<void> {
  try {
    await files.lstat(PATH);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") return;
    // A full tree has no id, and boots.
    await files.writeFile(PATH, Buffer.from(`${randomUUID().replaceAll("-", "")}\n`)).catch(() => undefined);
  }
}
