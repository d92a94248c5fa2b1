import { randomBytes } from "node:crypto";
import { z } from "zod";
import type { WatchMethods } from "../../api/actions.ts";
import { limitExceeded, vmStopped } from "../../api/errors.ts";
import type { FileChangedEvent } from "../../api/events.ts";
import { MAX_FILE_WATCHES } from "../../api/limits.ts";
import type { FileWatchInfo, WatchFilesOptions } from "../../api/types.ts";
import { storageFailed } from "../coded-store.ts";
import { codeOf } from "../sandbox/posix.ts";
import type { FileWatch, Sandbox } from "../sandbox/sandbox.ts";
import { decodeJson, encodeJson, type Store } from "../store.ts";
import { ChangeQueue } from "./change-queue.ts";
import { checkPath, stripSlash } from "./paths.ts";
import { realPath } from "./real-path.ts";

const PREFIX = "watch/";
const NOT_STORED = "The file watch could not be stored";
const ID_BYTES = 8;

const recordSchema = z.object({
  id: z.string(),
  path: z.string(),
  recursive: z.boolean(),
  exclude: z.array(z.string()),
  createdAt: z.number(),
});
type WatchRecord = z.infer<typeof recordSchema>;

export interface FileWatchesParts {
  /** Boots the VM where it is not up. */
  sandbox(): Promise<Sandbox>;
  store: Store;
  emit(event: FileChangedEvent): void;
  /** Told of what nobody waits for. */
  onFailure(error: unknown): void;
}

/**
 * A VM's file watches. They outlive its boots: each is made again with the next one, and then says that what it watches
 * has to be looked at anew.
 */
export class FileWatches implements WatchMethods {
  readonly #parts: FileWatchesParts;
  /** Those of the boot that is up. */
  readonly #live = new Map<string, FileWatch>();
  readonly #records = new Map<string, WatchRecord>();
  #queue: ChangeQueue;
  #loading: Promise<void> | undefined;
  /** Watches that are being made. */
  #making = 0;

  constructor(parts: FileWatchesParts) {
    this.#parts = parts;
    this.#queue = new ChangeQueue(parts.emit);
  }

  async watchFiles(
    path: string,
    { recursive = false, exclude = [] }: WatchFilesOptions = {},
  ): Promise<string> {
    const sandbox = await this.#parts.sandbox();
    checkPath(path, "watch");
    await this.#load();
    if (this.#records.size + this.#making >= MAX_FILE_WATCHES) {
      throw limitExceeded("MAX_FILE_WATCHES", MAX_FILE_WATCHES, "The VM has as many file watches as it can");
    }
    const id = `watch-${randomBytes(ID_BYTES).toString("hex")}`;
    const record: WatchRecord = { id, path, recursive, exclude, createdAt: Date.now() };
    this.#making += 1;
    try {
      const watch = await this.#start(sandbox, record);
      try {
        await this.#parts.store.put([[PREFIX + id, encodeJson(record)]]);
      } catch (error) {
        this.#close(id, watch);
        throw storageFailed(NOT_STORED, error);
      }
      this.#records.set(id, record);
    } finally {
      this.#making -= 1;
    }
    return id;
  }

  /** An unknown one is fine: it may have ended by itself. */
  async unwatchFiles(id: string): Promise<void> {
    await this.#load();
    if (!this.#records.has(id)) return;
    try {
      await this.#parts.store.delete([PREFIX + id]);
    } catch (error) {
      throw storageFailed(NOT_STORED, error);
    }
    this.#records.delete(id);
    this.#close(id, this.#live.get(id));
  }

  /** Oldest first. */
  async listWatches(): Promise<FileWatchInfo[]> {
    await this.#load();
    return [...this.#records.values()]
      .sort((a, b) => a.createdAt - b.createdAt)
      .map(({ id, path, recursive, exclude }) => ({ id, path, recursive, exclude }));
  }

  /** Makes the watches of earlier boots again. Nobody waits for it. */
  async booted(sandbox: Sandbox): Promise<void> {
    try {
      await this.#load();
      for (const record of this.#records.values()) {
        if (!this.#live.has(record.id)) await this.#remake(sandbox, record);
      }
    } catch (error) {
      this.#parts.onFailure(error);
    }
  }

  /** The sandbox has ended, and the kernel's watches with it. */
  ended(): void {
    this.#live.clear();
    this.#queue.close();
    this.#queue = new ChangeQueue(this.#parts.emit);
  }

  async #remake(sandbox: Sandbox, record: WatchRecord): Promise<void> {
    const { id, path } = record;
    const queue = this.#queue;
    try {
      await this.#start(sandbox, record);
      queue.add({ watchId: id, type: "overflow", path }, path);
    } catch (error) {
      if (codeOf(error) === "vm_stopped") return;
      if (codeOf(error) === "ENOENT") queue.add({ watchId: id, type: "deleted", path }, path);
      queue.add({ watchId: id, type: "ended", path }, path);
      this.#parts.onFailure(error);
      this.#forget(id);
    }
  }

  async #start(sandbox: Sandbox, { id, path, recursive, exclude }: WatchRecord): Promise<FileWatch> {
    const call = { syscall: "watch", path };
    const asked = stripSlash(path);
    // A trailing slash asks for a directory.
    if (asked !== path) await sandbox.files.readdir(path);
    const queue = this.#queue;
    const request = {
      path: asked,
      realPath: await realPath(sandbox.files, asked, call),
      recursive,
      exclude,
    };
    const watch = await sandbox.watch(request, {
      tell: (change) => {
        // A boot that is over tells nothing more.
        if (queue !== this.#queue) return;
        queue.add({ watchId: id, ...change }, asked);
        if (change.type === "ended") this.#forget(id);
      },
      drained: () => queue.drained(),
    });
    if (queue !== this.#queue) {
      watch.close();
      throw vmStopped();
    }
    this.#live.set(id, watch);
    return watch;
  }

  #close(id: string, watch: FileWatch | undefined): void {
    this.#live.delete(id);
    watch?.close();
    this.#queue.drop(id);
  }

  /** It has ended by itself. */
  #forget(id: string): void {
    this.#live.delete(id);
    if (!this.#records.delete(id)) return;
    this.#parts.store.delete([PREFIX + id]).catch(this.#parts.onFailure);
  }

  #load(): Promise<void> {
    this.#loading ??= this.#read().catch((error: unknown) => {
      this.#loading = undefined;
      throw storageFailed(NOT_STORED, error);
    });
    return this.#loading;
  }

  async #read(): Promise<void> {
    for (const [key, value] of await this.#parts.store.list(PREFIX)) {
      const record = decodeRecord(value);
      if (record !== undefined) this.#records.set(record.id, record);
      else this.#parts.onFailure(new Error(`The file watch ${key} is stored in an unknown form`));
    }
  }
}

function decodeRecord(value: Uint8Array): WatchRecord | undefined {
  try {
    return recordSchema.safeParse(decodeJson(value)).data;
  } catch {
    return undefined;
  }
}
