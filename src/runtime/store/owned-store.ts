import { randomUUID } from "node:crypto";
import { z } from "zod";
import { AgentVmError } from "../../api/errors.ts";
import { loadOnce } from "../../base/load-once.ts";
import { HEAD_KEY, OWNER_END_KEY, OWNER_KEY } from "./keys.ts";
import { encodeJson, LAZY, type Store, tryDecodeJson } from "./store.ts";

/**
 * Age at which the owner mark of a store is read again before the next change.
 * @unit ms
 */
const TRUST_MS = 500;

const ownerSchema = z.object({
  /** Instance of the VM that the store belongs to. */
  id: z.string(),
  /** Whether the instance has ended: it changes nothing any more. Servers before OWNER_END_KEY note that here. */
  isEnded: z.boolean(),
  /** Whether an earlier instance has not ended. It may still try to change something. */
  hasRival: z.boolean(),
});

type Owner = z.infer<typeof ownerSchema>;

/** The note of an instance that it has ended. */
const endSchema = ownerSchema.pick({ id: true, hasRival: true });

type End = z.infer<typeof endSchema>;

/** A store of which one instance of a VM is the owner, from its first access until another instance takes it. */
export interface OwnedStore extends Store {
  /** Marks the store as free. Call it after the last change of an instance. Does nothing without an earlier access. */
  release(): Promise<void>;
}

export interface OwnedStoreOptions {
  /** Whether other servers reach the store, as behind a Rivet Engine. @default false */
  isShared?: boolean | undefined;
  /** Called once, when another instance turns out to be the owner. @default nothing */
  onReplaced?(): void;
}

/**
 * Wraps a store so that only its newest owner changes it. The first access stores a mark, which is read again before the
 * head record is put, and after that. In a shared store the mark is also read before any change after a pause, and after each put: a
 * put of an instance that has been replaced is never reported as stored. A lazy put counts only with a later change, whose put reads the mark.
 */
export function ownedStore(store: Store, { isShared, onReplaced }: OwnedStoreOptions = {}): OwnedStore {
  const id = randomUUID();
  /** Whether there was a rival when this instance began. Its numbers may be ahead in the journal until a checkpoint moves the journal. */
  let foundRival = false;
  /** Whether the next instance must leave out numbers too. */
  let hasRival = false;
  let isReplaced = false;
  let readAt = Number.NEGATIVE_INFINITY;
  let checking: Promise<void> | undefined;

  const owned = loadOnce(async () => {
    foundRival = await findsRival(store);
    hasRival = foundRival;
    const takenAt = performance.now();
    const mark: Owner = { id, isEnded: false, hasRival };
    // A mark reaches the disk before any later change. A mark that a loss of power takes leaves what an instance without changes leaves.
    await store.put([[OWNER_KEY, encodeJson(mark)]], LAZY);
    readAt = takenAt;
  });
  const check = async () => {
    const askedAt = performance.now();
    const [mark] = isReplaced ? [] : await store.get([OWNER_KEY]);
    if (decode(ownerSchema, mark)?.id === id) {
      readAt = askedAt;
      return;
    }
    if (!isReplaced) onReplaced?.();
    isReplaced = true;
    throw new AgentVmError("vm_stopped", "Another instance of this VM has taken over its storage");
  };
  /** Resolves when the mark has been this instance's within the last `TRUST_MS`. */
  const trusted = async () => {
    await owned();
    // A process that was paused in between asks again.
    while (isReplaced || (isShared && performance.now() - readAt > TRUST_MS)) {
      checking ??= check().finally(() => {
        checking = undefined;
      });
      await checking;
    }
  };
  return {
    isRemote: isShared === true,
    get hasRival() {
      return foundRival;
    },
    async confirm() {
      await owned();
      await check();
    },
    async get(keys) {
      await owned();
      return await store.get(keys);
    },
    async put(entries, options) {
      await owned();
      const isCommit = entries.some(([key]) => key === HEAD_KEY);
      if (isCommit) await check();
      await trusted();
      await store.put(entries, options);
      // Only the owner may delete what the new head does not refer to.
      if (isCommit || (isShared && options?.isLazy !== true)) await check();
      // The next instance goes on from the numbers of this head.
      if (isCommit) hasRival = false;
    },
    async delete(keys) {
      await trusted();
      await store.delete(keys);
    },
    async deleteRange(from, to, options) {
      await trusted();
      await store.deleteRange(from, to, options);
    },
    async list(prefix, options) {
      await owned();
      return await store.list(prefix, options);
    },
    async release() {
      if (owned.peek() === undefined || isReplaced) return;
      await owned();
      // A record of its own: a mark that another instance has stored meanwhile stays.
      const end: End = { id, hasRival };
      await store.put([[OWNER_END_KEY, encodeJson(end)]], LAZY);
    },
  };
}

/** Returns whether an earlier instance of this VM may still try to change the store. */
async function findsRival(store: Store): Promise<boolean> {
  const [mark, note] = await store.get([OWNER_KEY, OWNER_END_KEY]);
  const owner = decode(ownerSchema, mark);
  if (owner === undefined) return false;
  const end = decode(endSchema, note);
  if (end?.id === owner.id) return end.hasRival;
  return !owner.isEnded || owner.hasRival;
}

function decode<Schema extends z.ZodType>(
  schema: Schema,
  bytes: Uint8Array | undefined,
): z.output<Schema> | undefined {
  return bytes && schema.safeParse(tryDecodeJson(bytes)).data;
}
