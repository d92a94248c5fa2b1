import { vmDestroyed } from "../api/errors.ts";
import type { Labels, VmState } from "../api/methods/machine.ts";
import type { VmPage, VmQuery } from "../api/vm-list.ts";
import { tryWrite } from "../base/try-write.ts";
import { ActorFiles, type StoredActor } from "../rivet/actor-files.ts";
import type { ActorRegister } from "../rivet/actor-life.ts";
import { assertDiskHasRoom, assertHostHasRoom } from "../runtime/sandbox/host-room.ts";
import { Deletions } from "./deletions.ts";
import { Expiry } from "./expiry.ts";
import type { LiveEntry } from "./live-entry.ts";
import { assertBoot, assertRoom, hasPlace, type Quota } from "./quota.ts";
import { Sleeps } from "./sleeps.ts";
import { StorageMeter } from "./storage-meter.ts";
import { listPage } from "./vm-page.ts";
import { VmRows } from "./vm-rows.ts";
import { VolumeFiles } from "./volume-files.ts";

/** Sums over all VMs of a data folder. */
export interface DirectoryTally {
  /** Number of VMs in each state. */
  states: Record<VmState, number>;
  processes: number;
  sessions: number;
  storedBytes: number;
}

/** The row of a started actor. */
export interface Listing {
  setLabels(labels: Labels): void;
  /** The VM is about to boot. @throws AgentVmError `limit_exceeded` if the quota has no room */
  admitBoot(): void;
  /**
   * The actor is about to be deleted. A server that dies before deletes it when it starts again.
   *
   * @throws AgentVmError `storage_failed`: try again
   */
  beginDestroy(): void;
  /** Deletes the actor. */
  destroy(): Promise<void>;
  /** The actor sleeps, or its server ends. Never throws: the directory tries again to note it. */
  leave(): void;
}

/** A damaged index that the server has replaced. */
export interface ReplacedIndex {
  /** Where the damaged file is now. */
  path: string;
  /** VMs whose labels, `destroyAfterMs` and begun deletions could not be read. `undefined`: the start failed before they were counted. */
  lost: number | undefined;
}

export interface VmDirectoryOptions {
  quota: Quota;
  /** Milliseconds of sleep after which VMs are destroyed, by actor name; `null`: never. */
  lifetimes: ReadonlyMap<string, number | null>;
  isStarting(actorId: string): boolean;
  /** Stores the files of an awake VM. Rejects if the disk does not take them. */
  store(actorId: string): Promise<void>;
  destroy(actorId: string): Promise<void>;
  /** Receives failures that no caller waits for. */
  onFailure(error: unknown): void;
  onReplaced(index: ReplacedIndex): void;
}

/**
 * All VMs of a data folder. It lists them without loading an actor, and remembers which are being destroyed. It keeps an
 * index beside the actors' files, which is completed from those files when the server starts.
 */
export class VmDirectory implements ActorRegister {
  /** The data folder. */
  readonly folder: string;
  readonly #rows: VmRows;
  readonly #files: ActorFiles;
  readonly #options: VmDirectoryOptions;
  readonly #expiry: Expiry;
  readonly #sleeps: Sleeps;
  readonly #deletions: Deletions;
  readonly #storage: StorageMeter;
  readonly #live = new Map<string, LiveEntry>();
  #trial: AbortController | undefined;

  /**
   * Opens the index of a data folder that no other server uses. Finishes deletions that an earlier server began.
   *
   * @throws AgentVmError `storage_failed`
   */
  constructor(folder: string, options: VmDirectoryOptions) {
    const { lifetimes, isStarting, destroy, onFailure, quota } = options;
    this.#options = options;
    this.folder = folder;
    this.#files = new ActorFiles(folder);
    this.#rows = openRows(folder, this.#files, options);
    this.#deletions = new Deletions(this.#rows, this.#files);
    this.#storage = new StorageMeter(this.#files, new VolumeFiles(folder), onFailure);
    for (const actorId of this.#rows.destroying()) {
      this.#deletions.begin(actorId);
      this.#deletions.end(actorId).catch(onFailure);
    }
    const isInUse = (actorId: string) => this.#live.has(actorId) || isStarting(actorId);
    this.#expiry = new Expiry({ rows: this.#rows, lifetimes, isInUse, destroy, onFailure });
    this.#expiry.arm();
    this.#sleeps = new Sleeps({ rows: this.#rows, onNoted: () => this.#expiry.arm(), onFailure });
    this.#rows.started();
    if (quota.maxStoredBytes !== undefined) this.#storage.keepMeasuring();
  }

  /**
   * An actor has started.
   *
   * @returns its row, for its changes
   * @throws AgentVmError `vm_destroyed` if the actor should be gone, `storage_failed`
   */
  enter(
    actor: Omit<StoredActor, "createdAt">,
    { labels, destroyAfterMs }: { labels: Labels; destroyAfterMs: number | undefined },
    live: LiveEntry,
  ): Listing {
    const { actorId } = actor;
    const now = Date.now();
    if (this.#deletions.of(actorId) !== undefined) throw vmDestroyed();
    this.#rows.insert({ ...actor, createdAt: now });
    this.#rows.change(actorId, {
      last_used_at: now,
      labels: JSON.stringify(labels),
      destroy_after: destroyAfterMs ?? null,
      awake: 1,
    });
    this.#sleeps.forget(actorId);
    this.#live.set(actorId, live);
    return {
      setLabels: (changed) => this.#rows.change(actorId, { labels: JSON.stringify(changed) }),
      beginDestroy: () => this.beginDeletion(actorId),
      destroy: () => this.#options.destroy(actorId),
      admitBoot: () => {
        const others = this.#awakeBeside(live);
        assertBoot(this.#options.quota, others, this.#storage.bytes);
        if (!hasPlace(this.#options.quota, others + 1)) this.#trial?.abort();
      },
      leave: () => {
        if (this.#live.get(actorId) !== live) return;
        this.#live.delete(actorId);
        this.#sleeps.note(actorId, { last_used_at: live.lastUsedAt(), slept_at: Date.now() });
      },
    };
  }

  /**
   * Runs a trial boot in a free place of the quota. A VM that needs the place ends the trial.
   *
   * @param trial ends when its signal is aborted
   * @returns `false` if there was no place, or a VM took it
   */
  async tryBoot(trial: (signal: AbortSignal) => Promise<void>): Promise<boolean> {
    if (!hasPlace(this.#options.quota, this.#awakeBeside(undefined))) return false;
    const place = new AbortController();
    this.#trial = place;
    try {
      await trial(place.signal);
    } catch (error) {
      if (!place.signal.aborted) throw error;
    } finally {
      this.#trial = undefined;
    }
    return !place.signal.aborted;
  }

  /** Number of VMs that the quota still lets boot. */
  get places(): number {
    const { maxAwake = Number.POSITIVE_INFINITY } = this.#options.quota;
    return Math.max(0, maxAwake - this.#awakeBeside(undefined));
  }

  /**
   * Admits an actor that may be made.
   *
   * @throws AgentVmError `limit_exceeded` if it is new and the quota has no room, `server_full` if the host has too little left
   */
  admit(actor: Omit<StoredActor, "createdAt">): void {
    if (this.#rows.get(actor.actorId) !== undefined) return;
    assertRoom(this.#options.quota, () => this.#rows.count(), this.#storage.bytes);
    assertHostHasRoom();
    assertDiskHasRoom(this.folder);
    this.#rows.insert({ ...actor, createdAt: Date.now() });
  }

  maySleep(actorId: string): true | Promise<boolean> {
    try {
      assertDiskHasRoom(this.folder);
      return true;
    } catch {
      // The files that the VM has now may still fit.
      return this.#isStored(actorId);
    }
  }

  async #isStored(actorId: string): Promise<boolean> {
    try {
      await this.#options.store(actorId);
      await tryWrite(this.folder);
      return true;
    } catch {
      return false;
    }
  }

  nameOf(actorId: string): { name: string; key: string[] } | undefined {
    const found = this.#rows.nameOf(actorId);
    return found && { name: found.name, key: [...found.key] };
  }

  deletionOf(actorId: string): Promise<void> | undefined {
    return this.#deletions.of(actorId);
  }

  beginDeletion(actorId: string): void {
    this.#deletions.begin(actorId);
    this.#sleeps.forget(actorId);
  }

  endDeletion(actorId: string): Promise<void> {
    return this.#deletions.end(actorId);
  }

  /**
   * Lists VMs in the order of their keys. Loads no actor.
   *
   * @param isShown whether the page may show a VM, by the text of its key
   */
  list(name: string, query: VmQuery, isShown?: (keyText: string) => boolean): Promise<VmPage> {
    const place = {
      rows: this.#rows,
      files: this.#files,
      live: (actorId: string) => this.#live.get(actorId),
    };
    return listPage(place, name, query, isShown);
  }

  /** Adds up all VMs. Stored bytes are those of the last ten seconds. */
  async tally(): Promise<DirectoryTally> {
    await this.#storage.refresh();
    const live = [...this.#live.values()];
    const states = { sleeping: this.#rows.count(), booting: 0, awake: 0 };
    for (const entry of live) {
      const state = entry.state();
      if (state === "sleeping") continue;
      states[state] += 1;
      states.sleeping -= 1;
    }
    const sessions = await Promise.all(live.map((entry) => entry.sessions().catch(() => 0)));
    return {
      states: { ...states, sleeping: Math.max(0, states.sleeping) },
      processes: sum(live.map((entry) => entry.processes())),
      sessions: sum(sessions),
      storedBytes: this.#storage.bytes,
    };
  }

  /** Destroys and measures no more by itself. */
  close(): void {
    this.#expiry.close();
    this.#sleeps.close();
    this.#storage.close();
  }

  /** Counts the VMs that are awake or booting, if their number has a limit. */
  #awakeBeside(live: LiveEntry | undefined): number {
    if (this.#options.quota.maxAwake === undefined) return 0;
    return [...this.#live.values()].filter((each) => each !== live && each.state() !== "sleeping").length;
  }
}

/** Opens the index, and brings it to the state of a server that starts. */
function openRows(
  folder: string,
  files: ActorFiles,
  { onFailure, onReplaced }: Pick<VmDirectoryOptions, "onFailure" | "onReplaced">,
): VmRows {
  const rows = new VmRows(folder, onFailure);
  let added: number | undefined;
  try {
    try {
      added = rows.reconcile(new Set(files.ids()), (actorId) => files.read(actorId));
    } finally {
      // The next start finds a whole index, and has nothing to tell.
      if (rows.replaced !== undefined) onReplaced({ path: rows.replaced, lost: added });
    }
    rows.allAsleep(Date.now());
    return rows;
  } catch (error) {
    rows.close();
    throw error;
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
