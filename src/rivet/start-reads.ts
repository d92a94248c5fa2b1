type Entry = [key: Uint8Array, value: Uint8Array];

interface ListOptions {
  limit?: number;
}

/** The part of RivetKit's runner that this file changes: its requests to the storage of an actor. */
export interface ActorStorage {
  kvGet(actorId: string, keys: Uint8Array[]): Promise<(Uint8Array | null)[]>;
  kvListPrefix(actorId: string, prefix: Uint8Array, options?: ListOptions): Promise<Entry[]>;
  kvListRange(
    actorId: string,
    start: Uint8Array,
    end: Uint8Array,
    exclusive?: boolean,
    options?: ListOptions,
  ): Promise<Entry[]>;
  kvPut(actorId: string, entries: Entry[]): Promise<void>;
  kvDelete(actorId: string, keys: Uint8Array[]): Promise<void>;
  kvDeleteRange(actorId: string, start: Uint8Array, end: Uint8Array): Promise<void>;
  kvDrop(actorId: string): Promise<void>;
}

/** Requests after which values that were read before may be wrong. */
const CHANGES = ["kvPut", "kvDelete", "kvDeleteRange", "kvDrop"] as const;

/** Key of an actor's state, which RivetKit reads first when it starts the actor. */
const STATE = [1];

interface Area {
  start: number[];
  /** The first key after the area. */
  end: number[];
  limit?: number;
}

/**
 * Ranges of keys that are read together when an actor starts. Between them lies the key-value storage of the actor, which has the VM's files.
 * The second range may have messages of a queue, steps of workflows and traces. Its limit bounds what is read in vain.
 */
const AREAS: readonly Area[] = [
  { start: STATE, end: [4] },
  { start: [5, 1, 1], end: [9], limit: 32 },
];

/** Keys that RivetKit reads after the state: the inspector's token, and the metadata of the queue. */
const KEYS: readonly number[][] = [[3], [5, 1, 1]];

/** Prefixes that RivetKit lists after the state: connections, workflows, and SQLite's pages. */
const PREFIXES: readonly number[][] = [[2], [6, 1], [8, 1]];

/**
 * Time after which values that nobody has asked for are forgotten.
 * @unit ms
 */
const FORGET_MS = 10_000;

/** Prototypes that are changed already. */
const changed = new WeakSet<object>();

/**
 * Makes the start of an actor read RivetKit's own keys with two requests at once. RivetKit asks for the state first, and then
 * four times: each request is a turn of the engine, which carries out the requests of a server one after another.
 *
 * For RivetKit 2.2 behind a Rivet Engine. Each value is handed out once, and only if nothing of the actor has been changed since it was
 * read. Anything that the two requests have not read whole is asked for by itself.
 *
 * @param prototype prototype of RivetKit's runners. It is changed in place.
 */
export function joinStartReads(prototype: ActorStorage): void {
  if (changed.has(prototype)) return;
  changed.add(prototype);
  const { kvGet, kvListPrefix } = prototype;
  const starts = new WeakMap<ActorStorage, Map<string, StartReads>>();
  const startsOf = (runner: ActorStorage) => {
    const found = starts.get(runner) ?? new Map<string, StartReads>();
    starts.set(runner, found);
    return found;
  };
  prototype.kvGet = async function get(actorId, keys) {
    const found = startsOf(this);
    const isStart = keys.length === 1 && textOf(keys[0]!) === textOf(STATE);
    const reads = isStart ? new StartReads(this, actorId, found) : found.get(actorId);
    const values = await reads?.takeKeys(keys);
    return values ?? (await kvGet.call(this, actorId, keys));
  };
  prototype.kvListPrefix = async function list(actorId, prefix, options) {
    const reads = options === undefined ? startsOf(this).get(actorId) : undefined;
    return (await reads?.takePrefix(prefix)) ?? (await kvListPrefix.call(this, actorId, prefix, options));
  };
  for (const name of CHANGES) {
    const change = prototype[name] as (...args: unknown[]) => Promise<void>;
    prototype[name] = function forget(this: ActorStorage, actorId: string, ...rest: unknown[]) {
      startsOf(this).get(actorId)?.forget();
      return change.call(this, actorId, ...rest);
    };
  }
}

/** Values of RivetKit's own keys that have been read together for the start of one actor. */
class StartReads {
  readonly #actorId: string;
  readonly #starts: Map<string, StartReads>;
  /** Entries of each area; `undefined` if the request has failed. */
  readonly #entries: Promise<Entry[] | undefined>[];
  /** Keys and prefixes that RivetKit has not asked for yet. */
  readonly #left = new Set([STATE, ...KEYS, ...PREFIXES].map((key) => textOf(key)));
  readonly #timer: NodeJS.Timeout;

  constructor(runner: ActorStorage, actorId: string, starts: Map<string, StartReads>) {
    this.#actorId = actorId;
    this.#starts = starts;
    starts.get(actorId)?.forget();
    starts.set(actorId, this);
    this.#timer = setTimeout(() => this.forget(), FORGET_MS).unref();
    this.#entries = AREAS.map(({ start, end, limit }) =>
      runner
        .kvListRange(actorId, Uint8Array.from(start), Uint8Array.from(end), true, limit ? { limit } : {})
        .catch(() => undefined),
    );
  }

  /** Forgets everything: it may be wrong from now on, or it is not needed any more. */
  forget(): void {
    clearTimeout(this.#timer);
    if (this.#starts.get(this.#actorId) === this) this.#starts.delete(this.#actorId);
  }

  /** Returns the values of keys; `undefined` if they must be asked for. */
  async takeKeys(keys: readonly Uint8Array[]): Promise<(Uint8Array | null)[] | undefined> {
    if (!this.#take(keys)) return undefined;
    const values: (Uint8Array | null)[] = [];
    for (const key of keys) {
      const entries = await this.#read(key);
      if (entries === undefined) return undefined;
      values.push(entries.find(([each]) => Buffer.compare(each, key) === 0)?.[1] ?? null);
    }
    return values;
  }

  /** Returns the entries below a prefix; `undefined` if they must be asked for. */
  async takePrefix(prefix: Uint8Array): Promise<Entry[] | undefined> {
    if (!this.#take([prefix])) return undefined;
    return await this.#read(prefix);
  }

  /** Notes that these are asked for. @returns whether they have been read, and nobody has asked for them before */
  #take(keys: readonly Uint8Array[]): boolean {
    const texts = keys.map((key) => textOf(key));
    if (!texts.every((text) => this.#left.has(text))) return false;
    for (const text of texts) this.#left.delete(text);
    if (this.#left.size === 0) this.forget();
    return true;
  }

  /** Returns the entries that begin with a prefix; `undefined` if not all of them have been read. */
  async #read(prefix: Uint8Array): Promise<Entry[] | undefined> {
    const index = AREAS.findIndex(
      ({ start, end }) =>
        Buffer.compare(Uint8Array.from(start), prefix) <= 0 &&
        Buffer.compare(prefix, Uint8Array.from(end)) < 0,
    );
    const entries = await this.#entries[index];
    const begins = ([key]: Entry) => Buffer.compare(key.subarray(0, prefix.length), prefix) === 0;
    const last = entries?.at(-1);
    const isCut = last !== undefined && entries?.length === AREAS[index]?.limit;
    // More entries of the prefix may follow the last entry.
    if (isCut && (begins(last) || Buffer.compare(last[0], prefix) < 0)) return undefined;
    return entries?.filter(begins);
  }
}

function textOf(key: Iterable<number>): string {
  return [...key].join(".");
}
