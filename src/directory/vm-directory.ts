import { invalidArgument, vmDestroyed } from "../api/errors.ts";
import type { Labels, VmState } from "../api/methods/machine.ts";
import type { VmListEntry, VmListUse, VmPage, VmQuery } from "../api/vm-list.ts";
import { pause } from "../base/pace.ts";
import { ActorFiles, type StoredActor } from "../rivet/actor-files.ts";
import type { ActorRegister } from "../rivet/actor-life.ts";
import { assertHostHasRoom } from "../runtime/sandbox/host-room.ts";
import { storageFailed } from "../runtime/store/coded-store.ts";
import { Expiry } from "./expiry.ts";
import { isKeyText, prefixText } from "./key-text.ts";
import { assertBoot, assertRoom, hasPlace, type Quota } from "./quota.ts";
import { labelsOf, type VmRow, VmRows } from "./vm-rows.ts";
import { VolumeFiles } from "./volume-files.ts";

/**
 * Time between two measurements of the storage of all VMs.
 * @unit ms
 */
const MEASURE_MS = 10_000;

/**
 * Pause before the server tries again to delete files that it could not delete.
 * @unit ms
 */
const RETRY_MS = 5_000;

/** Rows that are read in one step, which holds the event loop. */
const STEP = 100;

/** Bytes of labels after which a page ends, because its answer is made in one step. */
const MAX_PAGE_BYTES = 1024 * 1024;

/** An awake actor, as the directory asks it. */
export interface LiveEntry {
  state(): VmState;
  /** Number of processes in the VM. */
  processes(): number;
  /** Number of open sessions. */
  sessions(): Promise<number>;
  /** Resources that the VM uses; `undefined` while it does not run. */
  use(): Promise<VmListUse | undefined>;
  /** Time of the last call, in Unix milliseconds. */
  lastUsedAt(): number;
}

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
  /** The actor is about to be deleted. A server that dies before deletes it when it starts again. */
  beginDestroy(): void;
  /** Deletes the actor. */
  destroy(): Promise<void>;
  /** The actor sleeps, or its server ends. */
  leave(): void;
}

export interface VmDirectoryOptions {
  quota: Quota;
  /** Milliseconds of sleep after which VMs are destroyed, by actor name; `null`: never. */
  lifetimes: ReadonlyMap<string, number | null>;
  isStarting(actorId: string): boolean;
  destroy(actorId: string): Promise<void>;
  /** Receives failures that no caller waits for. */
  onFailure(error: unknown): void;
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
  readonly #volumes: VolumeFiles;
  readonly #options: VmDirectoryOptions;
  readonly #expiry: Expiry;
  readonly #deletions = new Map<string, PromiseWithResolvers<void>>();
  readonly #live = new Map<string, LiveEntry>();
  /** Bytes of all VMs when they were last measured. */
  #storedBytes = 0;
  #measuredAt = Number.NEGATIVE_INFINITY;
  #measuring: NodeJS.Timeout | undefined;
  #trial: AbortController | undefined;

  /** Opens the index of a data folder that no other server uses. Finishes deletions that an earlier server began. */
  constructor(folder: string, options: VmDirectoryOptions) {
    const { lifetimes, isStarting, destroy, onFailure, quota } = options;
    this.#options = options;
    this.folder = folder;
    this.#files = new ActorFiles(folder);
    this.#volumes = new VolumeFiles(folder);
    this.#rows = new VmRows(folder);
    this.#rows.reconcile(new Set(this.#files.ids()), (actorId) => this.#files.read(actorId));
    this.#rows.allAsleep(Date.now());
    for (const actorId of this.#rows.destroying()) {
      this.beginDeletion(actorId);
      this.endDeletion(actorId).catch(onFailure);
    }
    const isInUse = (actorId: string) => this.#live.has(actorId) || isStarting(actorId);
    this.#expiry = new Expiry({ rows: this.#rows, lifetimes, isInUse, destroy, onFailure });
    this.#expiry.arm();
    if (quota.maxStoredBytes !== undefined) this.#measureAgain();
  }

  /**
   * An actor has started.
   *
   * @returns its row, for its changes
   * @throws AgentVmError `vm_destroyed` if the actor should be gone
   */
  enter(
    actor: Omit<StoredActor, "createdAt">,
    { labels, destroyAfterMs }: { labels: Labels; destroyAfterMs: number | undefined },
    live: LiveEntry,
  ): Listing {
    const { actorId } = actor;
    const now = Date.now();
    if (this.#deletions.has(actorId)) throw vmDestroyed();
    this.#rows.insert({ ...actor, createdAt: now });
    this.#rows.change(actorId, {
      last_used_at: now,
      labels: JSON.stringify(labels),
      destroy_after: destroyAfterMs ?? null,
      awake: 1,
    });
    this.#live.set(actorId, live);
    return {
      setLabels: (changed) => this.#rows.change(actorId, { labels: JSON.stringify(changed) }),
      beginDestroy: () => this.beginDeletion(actorId),
      destroy: () => this.#options.destroy(actorId),
      admitBoot: () => {
        const others = this.#awakeBeside(live);
        assertBoot(this.#options.quota, others, this.#storedBytes);
        if (!hasPlace(this.#options.quota, others + 1)) this.#trial?.abort();
      },
      leave: () => {
        if (this.#live.get(actorId) !== live) return;
        this.#live.delete(actorId);
        this.#rows.change(actorId, { last_used_at: live.lastUsedAt(), slept_at: Date.now(), awake: 0 });
        this.#expiry.arm();
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
    assertRoom(this.#options.quota, () => this.#rows.count(), this.#storedBytes);
    assertHostHasRoom();
    this.#rows.insert({ ...actor, createdAt: Date.now() });
  }

  nameOf(actorId: string): { name: string; key: string[] } | undefined {
    const row = this.#rows.get(actorId);
    if (row === undefined || row.destroying === 1) return undefined;
    return { name: row.name, key: JSON.parse(row.key) as string[] };
  }

  deletionOf(actorId: string): Promise<void> | undefined {
    return this.#deletions.get(actorId)?.promise;
  }

  beginDeletion(actorId: string): void {
    if (this.#deletions.has(actorId)) return;
    this.#rows.markDestroying(actorId);
    const deletion = Promise.withResolvers<void>();
    deletion.promise.catch(() => undefined);
    this.#deletions.set(actorId, deletion);
  }

  async endDeletion(actorId: string): Promise<void> {
    const deletion = this.#deletions.get(actorId);
    try {
      await this.#files.remove(actorId);
      this.#rows.forget(actorId);
    } catch (error) {
      // Files of the old VM must not become those of a new one, so its key stays taken until they are gone.
      const failed = storageFailed("The files of a destroyed VM could not be deleted", error);
      const next = Promise.withResolvers<void>();
      next.promise.catch(() => undefined);
      this.#deletions.set(actorId, next);
      deletion?.reject(failed);
      setTimeout(() => this.endDeletion(actorId).catch(() => undefined), RETRY_MS).unref();
      throw failed;
    }
    this.#deletions.delete(actorId);
    deletion?.resolve();
  }

  /**
   * Lists VMs in the order of their keys. Loads no actor.
   *
   * @param isShown whether the page may show a VM, by the text of its key
   */
  async list(
    name: string,
    { prefix = [], labels = {}, state, use, limit, cursor }: VmQuery,
    isShown: (keyText: string) => boolean = () => true,
  ): Promise<VmPage> {
    const wanted = Object.entries(labels);
    const begin = prefixText([prefix].flat());
    const found: VmRow[] = [];
    let bytes = 0;
    let next = cursor === undefined ? "" : textOf(cursor);
    for (let isLast = false; !isLast && found.length <= limit && bytes <= MAX_PAGE_BYTES; await pause()) {
      const rows = this.#rows.select(name, begin, next, STEP);
      for (const row of rows) {
        if (!isShown(row.key_text)) continue;
        if (state !== undefined && this.#stateOf(row.actor_id) !== state) continue;
        const has = wanted.length === 0 ? {} : labelsOf(row);
        if (!wanted.every(([label, value]) => has[label] === value)) continue;
        bytes += row.labels.length;
        if (found.push(row) > limit || bytes > MAX_PAGE_BYTES) break;
      }
      isLast = rows.length < STEP;
      next = `${rows.at(-1)?.key_text}\0`;
    }
    // The row behind the page is where the next page begins. A page has at least one row.
    const isCut = found.length > limit || bytes > MAX_PAGE_BYTES;
    const page = isCut && found.length > 1 ? found.slice(0, -1) : found;
    const behind = isCut && found.length > 1 ? found.at(-1) : undefined;
    const vms: VmListEntry[] = [];
    for (let at = 0; at < page.length; at += STEP) {
      await pause();
      vms.push(...(await Promise.all(page.slice(at, at + STEP).map((row) => this.#entryOf(row, use)))));
    }
    return { vms, cursor: behind === undefined ? null : Buffer.from(behind.key_text).toString("base64url") };
  }

  /** Adds up all VMs. Stored bytes are those of the last ten seconds. */
  async tally(): Promise<DirectoryTally> {
    if (performance.now() - this.#measuredAt > MEASURE_MS) await this.#measure();
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
      storedBytes: this.#storedBytes,
    };
  }

  /** Destroys and measures no more by itself. */
  close(): void {
    this.#expiry.close();
    clearTimeout(this.#measuring);
  }

  async #entryOf(row: VmRow, withUse: boolean): Promise<VmListEntry> {
    const live = this.#live.get(row.actor_id);
    // A VM that ends meanwhile is listed without it.
    const use = withUse ? await live?.use().catch(() => undefined) : undefined;
    return {
      key: JSON.parse(row.key) as string[],
      actorId: row.actor_id,
      state: this.#stateOf(row.actor_id),
      createdAt: row.created_at,
      lastUsedAt: live?.lastUsedAt() ?? row.last_used_at,
      storedBytes: await this.#files.storedBytes(row.actor_id),
      processes: live?.processes() ?? 0,
      labels: labelsOf(row),
      ...(use && { use }),
    };
  }

  #stateOf(actorId: string): VmState {
    return this.#live.get(actorId)?.state() ?? "sleeping";
  }

  /** Counts the VMs that are awake or booting. */
  #awakeBeside(live: LiveEntry | undefined): number {
    return [...this.#live.values()].filter((each) => each !== live && each.state() !== "sleeping").length;
  }

  #measureAgain(): void {
    void this.#measure().then(() => {
      this.#measuring = setTimeout(() => this.#measureAgain(), MEASURE_MS).unref();
    });
  }

  async #measure(): Promise<void> {
    this.#measuredAt = performance.now();
    try {
      let bytes = 0;
      for (const actorId of this.#files.ids()) bytes += await this.#files.storedBytes(actorId);
      this.#storedBytes = bytes + (await this.#volumes.bytes());
    } catch (error) {
      this.#options.onFailure(error);
    }
  }
}

/** Text of the key at which a page begins. @throws AgentVmError `invalid_argument` for a cursor that no page had */
function textOf(cursor: string): string {
  const text = Buffer.from(cursor, "base64url").toString();
  if (!isKeyText(text)) throw invalidArgument("cursor", "the cursor of a page", cursor);
  return text;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
