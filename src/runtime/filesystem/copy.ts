import type { VirtualStat } from "../../api/types.ts";
import type { FileSystem } from "../sandbox/files.ts";
import { posixError } from "../sandbox/posix.ts";
import { temporaryName } from "../sandbox/temporary.ts";
import { joinPath, parentPath, stripSlash } from "./paths.ts";
import { remove } from "./removal.ts";

const PERMISSION_BITS = 0o7777;
const PIECE_BYTES = 4 * 1024 * 1024;

/**
 * What rename(2) refuses to do across mounts: copies beside the target under a name that no listing shows, puts the
 * copy in place in one step, then removes the source. A copy that fails leaves both ends as they were.
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
  await remove(fs, stripSlash(from), true);
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

/** After the content: a directory's time changes with each entry, and one without write permission takes none. */
async function copyAttributes(fs: FileSystem, stat: VirtualStat, to: string): Promise<void> {
  await fs.chmod(to, stat.mode & PERMISSION_BITS);
  await fs.utimes(to, stat.atimeMs, stat.mtimeMs);
}

/** The copy may not have come to exist. */
async function removeCopy(fs: FileSystem, copy: string): Promise<void> {
  const exists = await fs.lstat(copy).then(
    () => true,
    () => false,
  );
  if (exists) await remove(fs, copy, true);
}
