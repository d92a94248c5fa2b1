import type { ArchiveImport } from "../../api/types.ts";
import { checkWritablePath, stripSlash } from "../filesystem/paths.ts";
import type { FileSystem } from "../sandbox/files.ts";
import type { ArchiveEntry } from "./entry.ts";
import { place } from "./placing.ts";
import { Staging } from "./staging.ts";

/** Runs a change of the tree while no other one is made; what it did is durable when it resolves. */
export type ChangeTree = (work: () => Promise<void>) => Promise<void>;

/** An archive on its way into a VM. Nobody sees any of it before `commit`. */
export class Import {
  readonly #fs: FileSystem;
  readonly #path: string;
  #staging: Promise<Staging> | undefined;

  /** @param path directory that it goes to; made where it is missing */
  constructor(fs: FileSystem, path: string) {
    checkWritablePath(path, "mkdir");
    this.#fs = fs;
    this.#path = stripSlash(path);
  }

  /** Takes all entries in. */
  async stage(entries: AsyncIterable<ArchiveEntry> | Iterable<ArchiveEntry>): Promise<void> {
    this.#staging ??= Staging.open(this.#fs);
    const staging = await this.#staging;
    for await (const entry of entries) await staging.add(entry);
  }

  /** Puts them in their place, all or none. */
  async commit(change: ChangeTree): Promise<ArchiveImport> {
    this.#staging ??= Staging.open(this.#fs);
    const staging = await this.#staging;
    await change(() => place(this.#fs, staging, this.#path));
    return { files: staging.types.size, bytes: staging.bytes, skipped: staging.skipped };
  }

  /** Removes what is not in place. Idempotent. */
  async close(): Promise<void> {
    const opening = this.#staging;
    this.#staging = Promise.reject(new Error("The import is closed"));
    this.#staging.catch(() => undefined);
    const staging = await opening?.catch(() => undefined);
    // A process of the VM may have taken it away, or keeps filling it: no listing shows what stays.
    await staging?.discard().catch(() => undefined);
  }
}
