import type { ArchiveImport } from "../../api/methods/snapshot-types.ts";
import { checkWritablePath, stripSlash } from "../filesystem/paths.ts";
import type { FileSystem } from "../sandbox/files.ts";
import type { ArchiveEntry } from "./entry.ts";
import { place } from "./placing.ts";
import { Staging } from "./staging.ts";

/** Runs a change of the tree exclusively. The change is durable when the promise resolves. */
export type ChangeTree = (work: () => Promise<void>) => Promise<void>;

/** Imports an archive into a VM. Its entries stay hidden until `commit`. */
export class Import {
  readonly #fs: FileSystem;
  readonly #path: string;
  #staging: Promise<Staging> | undefined;

  /** @param path target directory, made if it is missing */
  constructor(fs: FileSystem, path: string) {
    checkWritablePath(path, "mkdir");
    this.#fs = fs;
    this.#path = stripSlash(path);
  }

  /** Unpacks all entries into the staging folder. */
  async stage(entries: AsyncIterable<ArchiveEntry> | Iterable<ArchiveEntry>): Promise<void> {
    this.#staging ??= Staging.open(this.#fs);
    const staging = await this.#staging;
    for await (const entry of entries) await staging.add(entry);
  }

  /** Puts all staged entries in place, or none of them. */
  async commit(change: ChangeTree): Promise<ArchiveImport> {
    this.#staging ??= Staging.open(this.#fs);
    const staging = await this.#staging;
    await change(() => place(this.#fs, staging, this.#path));
    return { files: staging.types.size, bytes: staging.bytes, skipped: staging.skipped };
  }

  /** Removes the staging folder. Idempotent. */
  async close(): Promise<void> {
    const opening = this.#staging;
    this.#staging = Promise.reject(new Error("The import is closed"));
    this.#staging.catch(() => undefined);
    const staging = await opening?.catch(() => undefined);
    // A process of the VM may have moved the folder away, or keeps filling it. No listing shows the rest.
    await staging?.discard().catch(() => undefined);
  }
}
