import { pause } from "../../base/pace.ts";
import { remove } from "../filesystem/copy.ts";
import type { FileSystem } from "../sandbox/files.ts";
import { temporaryName } from "../sandbox/names.ts";
import type { NodeMetadata, TreeCursor, TreePlace } from "../sandbox/persistent-tree.ts";
import { placeIn, placeOf } from "../sandbox/tree-path.ts";
import { type ArchiveEntry, refused } from "./entry.ts";

/** Mode of directories that no entry describes. */
const IMPLIED_MODE = 0o755;

/** Mode bits that the server needs to write into a staged directory. */
const OPEN_MODE = 0o700;

type StagedType = "file" | "directory" | "symlink";

/**
 * Unpacks an archive into a folder on the VM's own device. No listing shows the folder and no checkpoint keeps it.
 * Entries are never written through a link of the archive: staging makes every directory on the way to an entry itself.
 */
export class Staging {
  /** Type of each staged entry by its name. A directory comes before its contents. */
  readonly types = new Map<string, StagedType>();
  /** Metadata of the directories that the archive describes, by name. The archive's top is `""`. */
  readonly directories = new Map<string, NodeMetadata>();
  bytes = 0;
  skipped = 0;
  readonly #fs: FileSystem;
  readonly #folder: string;
  /** Stays in the directory of the last entry, so that the depth of the archive costs linear time. */
  readonly #cursor: TreeCursor;
  /** Places of the staged directories, by name. */
  readonly #places: Map<string, TreePlace>;
  readonly #targets = new Map<string, string>();

  private constructor(fs: FileSystem, folder: string) {
    this.#fs = fs;
    this.#folder = folder;
    this.#cursor = fs.tree.cursor();
    this.#places = new Map([["", placeOf(`${folder}/new`)]]);
  }

  static async open(fs: FileSystem): Promise<Staging> {
    const staging = new Staging(fs, `/${temporaryName()}`);
    try {
      for (const part of ["", "/new", "/old"]) {
        await fs.tree.makeDirectory(`${staging.#folder}${part}`, OPEN_MODE);
      }
      return staging;
    } catch (error) {
      await staging.discard().catch(() => undefined);
      throw error;
    }
  }

  /** Returns the path of a staged entry. */
  pathOf(name: string): string {
    return name === "" ? `${this.#folder}/new` : `${this.#folder}/new/${name}`;
  }

  /** Returns a path to keep a replaced file at. */
  asidePath(number: number): string {
    return `${this.#folder}/old/${number}`;
  }

  /**
   * Unpacks an entry. After an error the caller must `discard` the folder.
   *
   * @throws AgentVmError `invalid_archive`, ENOSPC
   */
  async add(entry: ArchiveEntry): Promise<void> {
    const { name, mode, mtimeMs } = entry;
    await pause();
    if (entry.type === "other") {
      this.skipped += 1;
      return;
    }
    if (name === "") {
      if (entry.type !== "directory") throw refused(".", "is the archive's top but not a directory");
      this.directories.set("", { mode, mtimeMs });
      return;
    }
    await this.#makeParents(name);
    if (entry.type === "directory") await this.#addDirectory(name, { mode, mtimeMs });
    else await this.#addOther(name, entry);
  }

  /** Sets mode and times of a directory as the archive describes it. */
  async setMetadata(name: string): Promise<void> {
    const metadata = this.directories.get(name);
    if (metadata !== undefined) await this.#cursor.setMetadata(this.#placeOf(name), metadata);
  }

  /** Removes the folder with all staged entries. */
  async discard(): Promise<void> {
    await this.#cursor.close();
    await remove(this.#fs, this.#folder, { recursive: true });
  }

  async #makeParents(name: string): Promise<void> {
    const missing: string[] = [];
    for (let parent = above(name); !this.#places.has(parent); parent = above(parent)) {
      const type = this.types.get(parent);
      if (type !== undefined) throw refused(name, `is below ${JSON.stringify(parent)}, which is a ${type}`);
      missing.push(parent);
    }
    for (const parent of missing.reverse()) await this.#makeDirectory(parent, IMPLIED_MODE);
  }

  async #makeDirectory(name: string, mode: number): Promise<void> {
    const place = this.#placeOf(name);
    await this.#cursor.makeDirectory(place, mode);
    this.#places.set(name, place);
    this.types.set(name, "directory");
  }

  /** Returns the place of an entry whose directory is staged. */
  #placeOf(name: string): TreePlace {
    const parent = this.#places.get(above(name));
    if (parent === undefined) throw refused(name, "is below a directory that is missing");
    return placeIn(parent, name.slice(name.lastIndexOf("/") + 1));
  }

  async #addDirectory(name: string, metadata: NodeMetadata): Promise<void> {
    const type = this.types.get(name);
    if (type !== undefined && type !== "directory") await this.#unlink(name);
    if (type !== "directory") await this.#makeDirectory(name, metadata.mode | OPEN_MODE);
    this.directories.set(name, metadata);
  }

  /** Adds a file or link. It replaces an earlier entry of the same name. */
  async #addOther(
    name: string,
    entry: Extract<ArchiveEntry, { type: "file" | "symlink" | "link" }>,
  ): Promise<void> {
    if (entry.type === "link" && entry.existing === name) return;
    const type = this.types.get(name);
    if (type === "directory") throw refused(name, "has the name of a directory");
    const target = entry.type === "link" ? this.#existing(name, entry.existing) : undefined;
    if (type !== undefined) await this.#unlink(name);
    if (entry.type === "symlink") await this.#makeSymlink(name, entry.target);
    else if (entry.type === "link" && target !== undefined) await this.#makeSymlink(name, target);
    else if (entry.type === "link") {
      await this.#cursor.makeLink(this.#placeOf(entry.existing), this.#placeOf(name));
      this.types.set(name, "file");
    } else {
      const { mode, mtimeMs, content } = entry;
      const node = await this.#cursor.makeFile(this.#placeOf(name), { mode, mtimeMs }, content);
      this.types.set(name, "file");
      this.bytes += node.size;
    }
  }

  /** @returns the symlink's target if a hard link leads to a symlink, or `undefined` if it leads to a file */
  #existing(name: string, existing: string): string | undefined {
    const type = this.types.get(existing);
    if (type === "file") return undefined;
    const target = this.#targets.get(existing);
    if (type === "symlink" && target !== undefined) return target;
    throw refused(
      name,
      `is a hard link to ${JSON.stringify(existing)}, which is not an earlier file of the archive`,
    );
  }

  async #makeSymlink(name: string, target: string): Promise<void> {
    if (target === "" || target.includes("\0")) throw refused(name, "is a symlink without a target");
    await this.#cursor.makeSymlink(this.#placeOf(name), target);
    this.types.set(name, "symlink");
    this.#targets.set(name, target);
  }

  async #unlink(name: string): Promise<void> {
    await this.#cursor.remove(this.#placeOf(name));
    this.types.delete(name);
    this.#targets.delete(name);
  }
}

/** Returns the name of the directory that holds an entry: `""` for the archive's top. */
export function above(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf("/")));
}
