import type { FileSystem } from "../sandbox/files.ts";
import { type Call, MAX_LINKS, namesIn, posixError } from "../sandbox/posix.ts";
import { joinPath, parentPath } from "./paths.ts";

/**
 * Resolves all links of a path, like realpath(3).
 *
 * @throws AgentVmError `ENOENT` if the path does not exist
 */
export async function realPath(fs: FileSystem, path: string, call: Call): Promise<string> {
  const pending = namesIn(path).reverse();
  let at = "/";
  let links = 0;
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (name === "..") {
      at = parentPath(at);
      continue;
    }
    const next = joinPath(at, name);
    const { isSymbolicLink, isDirectory } = await fs.lstat(next);
    if (!isSymbolicLink) {
      if (pending.length > 0 && !isDirectory) throw posixError("ENOTDIR", call);
      at = next;
      continue;
    }
    if (++links > MAX_LINKS) throw posixError("ELOOP", call);
    const target = await fs.readlink(next);
    if (target.startsWith("/")) at = "/";
    pending.push(...namesIn(target).reverse());
  }
  return at;
}
