import { randomBytes } from "node:crypto";
import { z } from "zod";
import { limitExceeded, vmStopped } from "../../api/errors.ts";
import type { FileWatchInfo, WatchFilesOptions, WatchMethods } from "../../api/methods/watches.ts";
import { loadOnce } from "../../base/load-once.ts";
import { ChangeQueue } from "../filesystem/change-queue.ts";
import { checkPath, stripSlash } from "../filesystem/paths.ts";
import { realPath } from "../filesystem/real-path.ts";
import { codeOf } from "../sandbox/posix.ts";
import { capabilityOf, type Sandbox } from "../sandbox/sandbox.ts";
import type { FileWatch } from "../sandbox/watches.ts";
import { storageFailed } from "../store/coded-store.ts";
import { PREFIXES, watchKey } from "../store/keys.ts";
import { encodeJson, tryDecodeJson } from "../store/store.ts";
import type { VmServices } from "../vm-services.ts";
import { MAX_FILE_WATCHES } from "./limits.ts";

const ID_BYTES = 8;

const recordSchema = z.object({
  id: z.string(),
  path: z.string(),
  recursive: z.boolean(),
  exclude: z.array(z.string()),
  createdAt: z.number(),
});
type WatchRecord = z.infer<typeof recordSchema>;

type FileWatchesDeps = Pick<VmServices, "sandbox" | "store" | "emit" | "onFailure">;

/**
 * File watches of one VM. They survive a reboot: the next boot starts each watch again, and the watch reports `overflow`
 * because it may have missed changes.
 */
export class FileWatches implements WatchMethods {
  readonly #deps: FileWatchesDeps;
  /** Watches of the current boot. */
  readonly #live = new Map<string, FileWatch>();
  readonly #records = new Map<string, WatchRecord>();
  #queue: ChangeQueue;
  readonly #load = loadOnce(() => stored(this.#read()));
  /** Number of watches that are being started. */
  #starting = 0;

  constructor(deps: FileWatchesDeps) {
    this.#deps = deps;
    this.#queue = this.#newQueue();
  }

  async watchFiles(path: string, { recursive = false, exclude = [] }: WatchFilesOptions = {}) {
    const sandbox = await this.#deps.sandbox();
    checkPath(path, "watch");
    await this.#load();
    if (this.#records.size + this.#starting >= MAX_FILE_WATCHES) {
      throw limitExceeded(
        { MAX_FILE_WATCHES },
        "File watch limit reached",
        "Remove a watch with unwatchFiles() first.",
      );
    }
    const id = `watch-${randomBytes(ID_BYTES).toString("hex")}`;
    const record: WatchRecord = { id, path, recursive, exclude, createdAt: Date.now() };
    this.#starting += 1;
    try {
      await this.#start(sandbox, record);
      // From now on a reboot starts the watch again, and its end forgets it.
      this.#records.set(id, record);
    } finally {
      this.#starting -= 1;
    }
    try {
      await stored(this.#deps.store.put([[watchKey(id), encodeJson(record)]]));
    } catch (error) {
      this.#records.delete(id);
      this.#close(id, this.#live.get(id));
      throw error;
    }
    // The watch has ended by itself while it was stored.
    if (!this.#records.has(id)) await stored(this.#deps.store.delete([watchKey(id)]));
    return id;
  }

  /** Ignores an unknown id, because the watch may have ended by itself. */
  async unwatchFiles(id: string): Promise<void> {
    await this.#load();
    if (!this.#records.has(id)) return;
    await stored(this.#deps.store.delete([watchKey(id)]));
    this.#records.delete(id);
    this.#close(id, this.#live.get(id));
  }

  /** Returns all watches, oldest first. */
  async listWatches(): Promise<FileWatchInfo[]> {
    await this.#load();
    return [...this.#records.values()]
      .sort((a, b) => a.createdAt - b.createdAt)
      .map(({ id, path, recursive, exclude }) => ({ id, path, recursive, exclude }));
  }

  /** Restarts the watches of earlier boots in the background. */
  up(sandbox: Sandbox): void {
    void this.#restartAll(sandbox);
  }

  /** Forgets the kernel's watches, which ended with the sandbox. */
  down(): void {
    this.#live.clear();
    this.#queue.close();
    this.#queue = this.#newQueue();
  }

  #newQueue(): ChangeQueue {
    return new ChangeQueue((event) => this.#deps.emit("fileChanged", event));
  }

  async #restartAll(sandbox: Sandbox): Promise<void> {
    try {
      await this.#load();
      for (const record of this.#records.values()) {
        if (!this.#live.has(record.id)) await this.#restart(sandbox, record);
      }
    } catch (error) {
      this.#deps.onFailure(error);
    }
  }

  async #restart(sandbox: Sandbox, record: WatchRecord): Promise<void> {
    const { id, path } = record;
    const queue = this.#queue;
    try {
      await this.#start(sandbox, record);
      queue.add({ watchId: id, type: "overflow", path }, path);
    } catch (error) {
      if (codeOf(error) === "vm_stopped") return;
      if (codeOf(error) === "ENOENT") queue.add({ watchId: id, type: "deleted", path }, path);
      queue.add({ watchId: id, type: "ended", path }, path);
      this.#deps.onFailure(error);
      this.#forget(id);
    }
  }

  async #start(sandbox: Sandbox, { id, path, recursive, exclude }: WatchRecord): Promise<FileWatch> {
    const call = { syscall: "watch", path };
    const watches = capabilityOf(sandbox, "watches", "watchFiles");
    const asked = stripSlash(path);
    // A trailing slash requires a directory.
    if (asked !== path) await sandbox.files.readdir(path);
    const queue = this.#queue;
    const request = { path: asked, realPath: await realPath(sandbox.files, asked, call), recursive, exclude };
    const watch = await watches.watch(request, {
      report: (change) => {
        // Ignore changes of an earlier boot.
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

  /** Removes a watch that has ended by itself. */
  #forget(id: string): void {
    this.#live.delete(id);
    if (!this.#records.delete(id)) return;
    this.#deps.store.delete([watchKey(id)]).catch(this.#deps.onFailure);
  }

  async #read(): Promise<void> {
    for (const [key, value] of await this.#deps.store.list(PREFIXES.watches)) {
      const record = recordSchema.safeParse(tryDecodeJson(value)).data;
      if (record !== undefined) this.#records.set(record.id, record);
      else this.#deps.onFailure(new Error(`The file watch ${key} is stored in an unknown form`));
    }
  }
}

/** @throws AgentVmError `storage_failed` */
async function stored<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    throw storageFailed("The file watch could not be stored", error);
  }
}
