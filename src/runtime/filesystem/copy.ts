import type { VirtualStat } from "../../api/methods/files.ts";
import type { FileSystem } from "../sandbox/files.ts";
import { temporaryName } from "../sandbox/names.ts";
import { codeOf, posixError } from "../sandbox/posix.ts";
import { joinPath, parentPath, stripSlash } from "./paths.ts";

const PERMISSION_BITS = 0o7777;
const PIECE_BYTES = 4 * 1024 * 1024;

/**
 * Moves across mounts, which rename(2) refuses. Copies to a hidden name beside the target, renames the copy into place
 * in one step, then removes the source. A failed copy leaves source and target unchanged.
 */
export async function moveAcross(fs: FileSystem, from: string, to: string): Promise<void> {
  if (`${stripSlash(to)}/`.startsWith(`${stripSlash(from)}/`))
    throw posixError("EINVAL", { syscall: "rename", path: from, destination: to });
  const copy = joinPath(parentPath(to), temporaryName());
  try {
    await copyTree(fs, stripSlash(from), copy);
    await fs.rename(copy, to);
  } catch (error) {
    await removeCopy(fs, copy);
    throw error;
  }
  await remove(fs, stripSlash(from), { recursive: true });
}

async function copyTree(fs: FileSystem, from: string, to: string): Promise<void> {
  const stat = await fs.lstat(from);
  if (stat.isSymbolicLink) return fs.symlink(await fs.readlink(from), to);
  if (stat.isDirectory) await copyDirectory(fs, from, to);
  else await copyFile(fs, from, to);
  await copyAttributes(fs, stat, to);
}

async function copyDirectory(fs: FileSystem, from: string, to: string): Promise<void> {
  await fs.mkdir(to);
  for (const { name } of await fs.readdir(from)) await copyTree(fs, joinPath(from, name), joinPath(to, name));
}

async function copyFile(fs: FileSystem, from: string, to: string): Promise<void> {
  const reader = await fs.openReader(from);
  try {
    const writer = await fs.openWriter(to);
    try {
      for (let offset = 0; offset < reader.size; offset += PIECE_BYTES)
        await writer.write(offset, await reader.read(offset, PIECE_BYTES));
      await writer.commit();
    } finally {
      await writer.close();
    }
  } finally {
    await reader.close();
  }
}

/**
 * Runs after the content: each entry changes a directory's time, and a directory without write permission takes none.
 */
async function copyAttributes(fs: FileSystem, stat: VirtualStat, to: string): Promise<void> {
  await fs.chmod(to, stat.mode & PERMISSION_BITS);
  await fs.utimes(to, stat.atimeMs, stat.mtimeMs);
}

/** Removes the copy, if it exists. */
async function removeCopy(fs: FileSystem, copy: string): Promise<void> {
  const exists = await fs.lstat(copy).then(
    () => true,
    () => false,
  );
  if (exists) await remove(fs, copy, { recursive: true });
}

/**
 * Removes a file, a link (never its target) or a directory. Tries unlink(2) first and reads the type from its error:
 * a check before the call could be outdated.
 */
export async function remove(
  fs: FileSystem,
  path: string,
  { recursive }: { recursive: boolean },
): Promise<void> {
  if (path === "/") throw posixError("EBUSY", { syscall: "rmdir", path });
  try {
    await fs.unlink(path);
  } catch (error) {
    if (codeOf(error) !== "EISDIR") throw error;
    await (recursive ? fs.removeTree(path) : fs.rmdir(path));
  }
}
