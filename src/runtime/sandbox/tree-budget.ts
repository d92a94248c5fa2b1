import { setTimeout as delay } from "node:timers/promises";
import { AgentVmError, limitExceeded } from "../../api/errors.ts";
import { Mutex } from "../../base/mutex.ts";
import { MAX_SERVER_TREE_BYTES, MAX_TREE_BYTES, SMALL_TREE_BYTES } from "./limits.ts";

const REMEDY = "Delete files of the VM, or exclude folders from checkpoints.";

/** Estimated memory that the trees of all VMs take, without the first SMALL_TREE_BYTES of each VM. */
let sharedBytes = 0;

/** Attempts of a reading that has the turn. */
const MAX_ATTEMPTS = 5;

/** Longest wait for another reading to end. A reading may wait for a client that takes its archive slowly. */
const MAX_WAIT_MS = 10_000;

/** The turn of a reading that found no room. */
const turns = new Mutex();

/** Readings that run without the turn. */
const others = new Set<Promise<void>>();

const sharedPart = (bytes: number): number => Math.max(0, bytes - SMALL_TREE_BYTES);

/** Limits the memory for one VM's tree, and together with all others that of the server. */
export class TreeBudget {
  #bytes = 0;

  /** Estimated bytes that are in use. */
  get bytes(): number {
    return this.#bytes;
  }

  open(): TreeAccount {
    return new TreeAccount((bytes) => this.#take(bytes));
  }

  /**
   * Runs a reading, and gives its memory back. Readings that find no room on the server run again one after the other, so that
   * large trees that are read at the same time are all read.
   */
  async reading<Result>(read: (account: TreeAccount) => Promise<Result>): Promise<Result> {
    const account = this.open();
    const ended = Promise.withResolvers<void>();
    others.add(ended.promise);
    const leave = () => {
      account.release();
      others.delete(ended.promise);
      ended.resolve();
    };
    try {
      return await read(account);
    } catch (error) {
      if (!isServerFull(error)) throw error;
      leave();
      return await turns.run(() => readAlone(account, read));
    } finally {
      leave();
    }
  }

  #take(bytes: number): void {
    const own = this.#bytes + bytes;
    // A small tree always has room, so that large trees of other VMs cannot keep its files from being stored.
    const shared = sharedPart(own) - sharedPart(this.#bytes);
    if (bytes > 0) {
      if (own > MAX_TREE_BYTES)
        throw limitExceeded({ MAX_TREE_BYTES }, "The VM's files need too much memory", REMEDY);
      if (shared > 0 && sharedBytes + shared > MAX_SERVER_TREE_BYTES)
        throw limitExceeded(
          { MAX_SERVER_TREE_BYTES },
          "The server reads too many files at the same time",
          "Try again later.",
        );
    }
    this.#bytes = own;
    sharedBytes += shared;
  }
}

/** Runs a reading again whenever another one has made room. */
async function readAlone<Result>(
  account: TreeAccount,
  read: (account: TreeAccount) => Promise<Result>,
): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await read(account);
    } catch (error) {
      account.release();
      if (!isServerFull(error) || others.size === 0 || attempt === MAX_ATTEMPTS) throw error;
      await Promise.race([...others, delay(MAX_WAIT_MS, undefined, { ref: false })]);
    }
  }
}

function isServerFull(error: unknown): boolean {
  return error instanceof AgentVmError && error.metadata?.limit === "MAX_SERVER_TREE_BYTES";
}

/** Memory of one reading, or of the watches of a VM. Its owner releases it. */
export class TreeAccount {
  readonly #take: (bytes: number) => void;
  #bytes = 0;

  constructor(take: (bytes: number) => void) {
    this.#take = take;
  }

  /** @param bytes below 0 to give a part back. @throws AgentVmError `limit_exceeded` */
  charge(bytes: number): void {
    this.#take(bytes);
    this.#bytes += bytes;
  }

  /** Gives back everything. Idempotent. */
  release(): void {
    this.#take(-this.#bytes);
    this.#bytes = 0;
  }
}
