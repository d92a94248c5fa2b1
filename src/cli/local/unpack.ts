import type { BigIntStats } from "node:fs";
import {
  chmod,
  copyFile,
  type FileHandle,
  link,
  lstat,
  mkdir,
  open,
  rm,
  symlink,
  utimes,
} from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { extract, type Headers } from "tar-stream";
import { MIB } from "../../api/units.ts";
import { isSparse, sparseContent } from "../../base/sparse-map.ts";
import { invalidArchive } from "./archive-error.ts";
import type { Skipped, SkipReason } from "./skipped.ts";

/** Files that an archive has put on this machine. */
export interface Unpacked {
  files: number;
  bytes: number;
  /** Entries that are left out: devices, FIFOs, names that are not UTF-8, and names that another entry has. */
  skipped: Skipped[];
}

/** Bits of a mode that a VM may choose: no setuid, setgid and sticky. */
const MODE_BITS = 0o777;

const SPARSE = {
  maxMapBytes: 16 * MIB,
  damaged: () => invalidArchive("it has a sparse file with a damaged map"),
};

/** Stands for bytes of a name that are not UTF-8. A name that has the character itself is left out too. */
const NOT_UTF8 = "\ufffd";

/** Names that are kept for the report. */
const MAX_SKIPPED = 100;

/**
 * Unpacks an archive of a VM below a folder. The VM is hostile: a name cannot climb out, nothing is written through a link,
 * links are made after everything else, and folders that were there keep their modes.
 *
 * @param rename name for the only file of an archive
 * @throws AgentVmError `invalid_archive`
 */
export async function unpack(
  archive: AsyncIterable<Uint8Array>,
  root: string,
  { rename }: { rename?: string } = {},
): Promise<Unpacked> {
  const made = await mkdir(root, { recursive: true });
  const unpacking = new Unpacking(root, { rename, isNew: made !== undefined });
  const entries = extract();
  const feeding = pipeline(Readable.from(archive), entries);
  // The loop below ends with the error of the stream.
  feeding.catch(() => undefined);
  for await (const entry of entries) {
    await unpacking.add(entry.header, entry);
    entry.resume();
  }
  await feeding;
  return await unpacking.finish();
}

class Unpacking {
  readonly #root: string;
  readonly #rename: string | undefined;
  readonly #links: { parts: string[]; target: string }[] = [];
  /** Folders that this copy has made, with the modes that the archive gives them. */
  readonly #made = new Map<string, number | undefined>();
  /** Files that this copy has made, by device and inode: a disk may take two names for one. */
  readonly #written = new Set<string>();
  readonly #done: Unpacked = { files: 0, bytes: 0, skipped: [] };

  constructor(root: string, { rename, isNew }: { rename: string | undefined; isNew: boolean }) {
    this.#root = join(root);
    this.#rename = rename;
    if (isNew) this.#made.set(this.#root, undefined);
  }

  async add(header: Headers, content: AsyncIterable<Uint8Array>): Promise<void> {
    const pax = (header as { pax?: Record<string, string> | null }).pax ?? {};
    const name = pax["GNU.sparse.name"] ?? header.name;
    if (`${name}${header.linkname ?? ""}`.includes(NOT_UTF8)) return this.#skip(name, "name");
    const parts = this.#partsOf(name);
    const mode = (header.mode ?? 0o644) & MODE_BITS;
    switch (header.type) {
      case "directory": {
        const path = await this.#folder(parts);
        if (this.#made.has(path)) this.#made.set(path, mode);
        break;
      }
      case "file":
      case "contiguous-file":
        if (!(await this.#file(parts, { mode, mtime: header.mtime, pax }, content)))
          return this.#skip(name, "taken");
        break;
      case "symlink":
        this.#links.push({ parts, target: header.linkname ?? "" });
        break;
      case "link":
        if (!(await this.#hardLink(parts, this.#partsOf(header.linkname ?? ""))))
          return this.#skip(name, "taken");
        break;
      default:
        return this.#skip(name, "kind");
    }
    this.#done.files += 1;
  }

  /** Makes the links, and gives the new folders their modes. */
  async finish(): Promise<Unpacked> {
    for (const { parts, target } of this.#links) {
      const path = await this.#place(parts);
      if (path === undefined) {
        this.#done.files -= 1;
        this.#skip(parts.join("/"), "taken");
        continue;
      }
      await symlink(target, path);
      await this.#note(path);
    }
    // The owner keeps access, so that the copy can be deleted. The umask holds for others.
    const umask = process.umask();
    for (const [path, mode] of [...this.#made].reverse())
      if (mode !== undefined) await chmod(path, (mode & ~umask) | 0o700).catch(() => undefined);
    return this.#done;
  }

  #skip(path: string, reason: SkipReason): void {
    if (this.#done.skipped.length < MAX_SKIPPED) this.#done.skipped.push({ path, reason });
  }

  /** Notes a file or a link that this copy has made. */
  async #note(path: string): Promise<void> {
    this.#written.add(idOf(await lstat(path, { bigint: true })));
  }

  #partsOf(name: string): string[] {
    const parts = name.split("/").filter((part) => part !== "" && part !== ".");
    if (parts.some((part) => part === ".." || part.includes("\0"))) throw invalidArchive("a name climbs out");
    return this.#rename === undefined ? parts : [this.#rename];
  }

  /** Makes a folder and those above it. A link on the way is refused. */
  async #folder(parts: readonly string[]): Promise<string> {
    let path = this.#root;
    for (const part of parts) {
      path = join(path, part);
      const found = await lstat(path).catch(() => undefined);
      if (found === undefined) {
        await mkdir(path, { mode: 0o700 });
        this.#made.set(path, undefined);
      } else if (!found.isDirectory()) throw invalidArchive(`${path} exists and is not a folder`);
    }
    return path;
  }

  /** Makes room for a file or a link. @returns its path; `undefined` if this copy has made a file there */
  async #place(parts: readonly string[]): Promise<string | undefined> {
    const name = parts.at(-1);
    if (name === undefined) throw invalidArchive("a file has no name");
    const path = join(await this.#folder(parts.slice(0, -1)), name);
    const found = await lstat(path, { bigint: true }).catch(() => undefined);
    if (found?.isDirectory()) throw invalidArchive(`${path} exists and is a folder`);
    if (found !== undefined && this.#written.has(idOf(found))) return undefined;
    if (found !== undefined) await rm(path);
    return path;
  }

  /** @returns whether there was room for the file */
  async #file(
    parts: readonly string[],
    { mode, mtime, pax }: { mode: number; mtime: Date | undefined; pax: Record<string, string> },
    content: AsyncIterable<Uint8Array>,
  ): Promise<boolean> {
    const path = await this.#place(parts);
    if (path === undefined) return false;
    // "wx" follows no link and takes no file that appeared meanwhile.
    const file = await open(path, "wx", mode);
    try {
      let at = 0;
      for await (const piece of isSparse(pax) ? sparseContent(content, pax, SPARSE) : content) {
        if ("hole" in piece) at += piece.hole;
        else at += await this.#write(file, piece, at);
      }
      // A hole at the end.
      if (isSparse(pax)) await file.truncate(at);
    } finally {
      await file.close();
    }
    if (mtime !== undefined) await utimes(path, mtime, mtime);
    await this.#note(path);
    return true;
  }

  /** @returns the bytes that were written: all */
  async #write(file: FileHandle, data: Uint8Array, at: number): Promise<number> {
    for (let done = 0; done < data.byteLength; ) {
      const { bytesWritten } = await file.write(data, done, data.byteLength - done, at + done);
      done += bytesWritten;
    }
    this.#done.bytes += data.byteLength;
    return data.byteLength;
  }

  /** @returns whether there was room for the link */
  async #hardLink(parts: readonly string[], target: readonly string[]): Promise<boolean> {
    const from = join(await this.#folder(target.slice(0, -1)), target.at(-1) ?? "");
    const found = await lstat(from).catch(() => undefined);
    if (!found?.isFile()) throw invalidArchive("a hard link has no file");
    const to = await this.#place(parts);
    if (to === undefined) return false;
    await link(from, to).catch(() => copyFile(from, to));
    await this.#note(to);
    return true;
  }
}

function idOf({ dev, ino }: BigIntStats): string {
  return `${dev}:${ino}`;
}
