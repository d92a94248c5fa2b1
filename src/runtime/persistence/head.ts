import { z } from "zod";
import { AgentVmError } from "../../api/errors.ts";
import type { SnapshotInfo } from "../../api/methods/snapshot-types.ts";
import { FILES_FORMAT, HEAD_KEY, READABLE_FILES_FORMATS } from "../store/keys.ts";
import { COMMIT, encodeJson, type Store, tryDecodeJson } from "../store/store.ts";
import { storageDamaged } from "./codec.ts";
import { deleteNotes, type Garbage, isEmpty, noteGarbage } from "./garbage.ts";
import { byteSum } from "./root.ts";

const integer = z.int().nonnegative();

const snapshotSchema = z.object({
  id: z.string(),
  name: z.string().nullable(),
  createdAt: integer,
  root: integer,
  files: integer,
  bytes: byteSum,
});

const headSchema = z.object({
  version: z.literal(READABLE_FILES_FORMATS),
  /** Counts commits. */
  generation: integer,
  /** Number of the newest tree's root record. `null` before the first checkpoint. */
  root: integer.nullable(),
  /** Number of the first journal record after the checkpoint. */
  journal: integer,
  /** The first numbers that no commit has used. */
  nextPack: integer,
  nextPage: integer,
  nextRoot: integer,
  /** Time of the checkpoint, in Unix milliseconds. */
  takenAt: integer,
  snapshots: z.array(snapshotSchema),
});

/** The record that names the newest tree, the snapshots and the journal that count. Putting it is the commit. */
export type Head = z.infer<typeof headSchema>;
type SnapshotRecord = z.infer<typeof snapshotSchema>;

export const FIRST_HEAD: Head = {
  version: FILES_FORMAT,
  generation: 0,
  root: null,
  journal: 0,
  nextPack: 0,
  nextPage: 0,
  nextRoot: 0,
  takenAt: 0,
  snapshots: [],
};

export type Numbering = Pick<Head, "nextPack" | "nextPage" | "nextRoot">;

export const numberingOf = ({ nextPack, nextPage, nextRoot }: Head): Numbering => ({
  nextPack,
  nextPage,
  nextRoot,
});

export function infoOf({ id, name, createdAt, files, bytes }: SnapshotRecord): SnapshotInfo {
  return { id, name, createdAt, files, bytes };
}

/** @throws AgentVmError `snapshot_not_found` */
export function findSnapshot({ snapshots }: Head, id: string): SnapshotRecord {
  const found = snapshots.find((snapshot) => snapshot.id === id);
  if (found !== undefined) return found;
  throw new AgentVmError("snapshot_not_found", `Snapshot not found: ${id}`, { snapshotId: id });
}

/** @throws AgentVmError `storage_too_new` for the record of a newer server, `storage_damaged` for an unreadable record */
export async function loadHead(store: Store): Promise<Head> {
  const [bytes] = await store.get([HEAD_KEY]);
  if (bytes === undefined) return FIRST_HEAD;
  const value = tryDecodeJson(bytes);
  const head = headSchema.safeParse(value);
  if (head.success) return head.data;
  const version = (value as { version?: unknown } | null)?.version;
  if (typeof version === "number" && version > FILES_FORMAT) throw tooNew(version);
  throw storageDamaged("its head record has an unknown form");
}

function tooNew(format: number): AgentVmError {
  return new AgentVmError(
    "storage_too_new",
    `The VM's files are stored in format ${format}. This server reads formats up to ${FILES_FORMAT}`,
    { format, supported: FILES_FORMAT },
  );
}

/** Commits new versions of the head record of a store, one after the other. */
export class Commits {
  readonly #store: Store;
  #head: Head;
  /** Each attempt has its own generation, so that its garbage note is not mistaken for the note of another attempt. */
  #nextGeneration: number;
  #isUnsure = false;

  /** @param gap generations that are left to an earlier instance of the VM */
  constructor(store: Store, head: Head, gap = 0) {
    this.#store = store;
    this.#head = head;
    this.#nextGeneration = head.generation + 1 + gap;
  }

  get head(): Head {
    return this.#head;
  }

  /** Whether the head of a failed commit may count, or may still do so, until another commit counts. */
  get isUnsure(): boolean {
    return this.#isUnsure;
  }

  /** @param garbage records that nothing refers to after this commit */
  async commit(change: Partial<Head>, garbage: Garbage): Promise<void> {
    const generation = this.#nextGeneration++;
    const head = { ...this.#head, ...change, generation };
    // One sync of the disk stores the notes, and all records of the tree, before the head.
    if (!isEmpty(garbage)) await noteGarbage(this.#store, generation, garbage);
    // A failed attempt has noted records that still count. Its note must not outlive a later commit.
    await deleteNotes(this.#store, this.#head.generation + 1, generation);
    try {
      await this.#store.put([[HEAD_KEY, encodeJson(head)]], COMMIT);
    } catch (error) {
      // The head of an instance that has been replaced may count, and the store is another's all the same.
      const isReplaced = error instanceof AgentVmError && error.code === "vm_stopped";
      const counts = isReplaced ? undefined : await this.#counts(generation);
      this.#isUnsure ||= counts === undefined || this.#store.isRemote === true;
      if (!counts) throw error;
      await this.#confirm();
    }
    this.#head = head;
    this.#isUnsure = false;
  }

  /** Makes sure that the head of this instance counts: the answer to its put is lost, and so is the look at the owner after it. */
  async #confirm(): Promise<void> {
    try {
      await this.#store.confirm?.();
    } catch (error) {
      this.#isUnsure = true;
      throw error;
    }
  }

  /** Whether a failed commit was stored all the same, and only its answer was lost. `undefined`: the store does not say. */
  async #counts(generation: number): Promise<boolean | undefined> {
    try {
      return (await loadHead(this.#store)).generation === generation;
    } catch {
      // The caller gets an error. The next commit or the next boot finds out which head counts.
      return undefined;
    }
  }
}
