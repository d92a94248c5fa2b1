import { isUtf8 } from "node:buffer";
import { once } from "node:events";
import { constants } from "node:fs";
import { lstat, open, readdir, readlink, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Pack, pack } from "tar-stream";
import type { Skipped } from "./skipped.ts";

/** Files of this machine for a VM. */
export interface Packed {
  archive: AsyncIterable<Uint8Array>;
  /** Bytes of all files. */
  bytes: number;
  /** Paths that are left out: sockets, devices, FIFOs, and names that are not UTF-8. */
  skipped: Skipped[];
}

interface Common {
  path: string;
  name: string;
  size: number;
  mode: number;
  mtime: Date;
}

type Found = Common & ({ type: "file" | "directory" } | { type: "symlink"; linkname: string });

/** Packs a file under a name, or a folder with everything below it. Links inside of a folder stay links. */
export async function packLocal(path: string, name = "."): Promise<Packed> {
  const skipped: Skipped[] = [];
  const found = await walk(path, name, skipped);
  const archive = pack();
  void fill(archive, found).then(
    () => archive.finalize(),
    (error: Error) => archive.destroy(error),
  );
  return {
    archive: archive as unknown as AsyncIterable<Uint8Array>,
    bytes: found.reduce((sum, { size }) => sum + size, 0),
    skipped,
  };
}

async function walk(top: string, topName: string, skipped: Skipped[]): Promise<Found[]> {
  const found: Found[] = [];
  const add = async (path: string, name: string, isTop: boolean): Promise<void> => {
    const info = await (isTop ? stat(path) : lstat(path));
    const common = { path, name, size: 0, mode: info.mode & 0o777, mtime: info.mtime };
    if (info.isDirectory()) {
      found.push({ ...common, type: "directory" });
      for (const child of (await readdir(path, { encoding: "buffer" })).sort(Buffer.compare)) {
        if (isUtf8(child)) await add(join(path, String(child)), `${name}/${child}`, false);
        else skipped.push({ path: join(path, String(child)), reason: "name" });
      }
    } else if (info.isSymbolicLink()) {
      const target = await readlink(path, { encoding: "buffer" });
      if (isUtf8(target)) found.push({ ...common, type: "symlink", linkname: String(target) });
      else skipped.push({ path, reason: "name" });
    } else if (info.isFile()) found.push({ ...common, type: "file", size: info.size });
    else skipped.push({ path, reason: "kind" });
  };
  await add(top, topName, true);
  return found;
}

async function fill(archive: Pack, found: readonly Found[]): Promise<void> {
  for (const entry of found) {
    const { path, name, mode, mtime, size } = entry;
    const header = { name, mode, mtime };
    if (entry.type === "symlink") archive.entry({ ...header, type: entry.type, linkname: entry.linkname });
    else if (entry.type === "directory") archive.entry({ ...header, type: entry.type });
    else await addFile(archive, path, { ...header, type: "file", size });
  }
}

/** A file that has grown since the walk is cut at its old size. A file that has shrunk fails the archive. */
async function addFile(
  archive: Pack,
  path: string,
  header: { name: string; type: "file"; mode: number; mtime: Date; size: number },
): Promise<void> {
  const file = await open(path, constants.O_RDONLY | (header.name.includes("/") ? constants.O_NOFOLLOW : 0));
  try {
    const { promise: done, resolve, reject } = Promise.withResolvers<void>();
    const entry = archive.entry(header, (error) => (error ? reject(error) : resolve()));
    // The reader of the archive has gone.
    entry.once("close", resolve);
    done.catch(() => undefined);
    if (header.size > 0) {
      for await (const piece of file.createReadStream({ end: header.size - 1, autoClose: false })) {
        if (!entry.write(piece)) await Promise.race([once(entry, "drain"), done]);
      }
    }
    entry.end();
    await done;
  } finally {
    await file.close();
  }
}
