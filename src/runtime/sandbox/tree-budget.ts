import { limitExceeded, vmStopped } from "../../api/errors.ts";
import { Semaphore } from "../../base/semaphore.ts";
import { unlessAborted } from "../../base/within.ts";
import { MAX_SERVER_TREE_BYTES, MAX_TREE_BYTES, SMALL_TREE_BYTES } from "./limits.ts";

const REMEDY = "Delete files of the VM, or exclude folders from checkpoints.";

/** Large trees that the server reads at the same time. More of them would take more memory and end no sooner. */
const MAX_LARGE_READINGS = 1;

/** A reading that takes longer lets the next one begin. Its storage may not answer. */
const MAX_TURN_MS = 30_000;

/** Estimated memory that the trees of all VMs take, without the first SMALL_TREE_BYTES of each VM. */
let sharedBytes = 0;

/** Turns of readings of large trees. */
const turns = new Semaphore(MAX_LARGE_READINGS);

const sharedPart = (bytes: number): number => Math.max(0, bytes - SMALL_TREE_BYTES);

/** A reading without a turn has found a large tree. */
class LargeTree extends Error {}

/**
 * Limits the memory for one VM's tree, and together with all others that of the server. `close` ends every reading and gives
 * all memory back, so nothing of a VM outlives it.
 */
export class TreeBudget {
  #bytes = 0;
  /** Whether the last reading was one of a large tree. */
  #isLarge = false;
  readonly #accounts = new Set<TreeAccount>();
  readonly #ending = new AbortController();

  /** Estimated bytes that are in use. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Opens an account. Its owner closes it, and else the end of the VM. */
  open(): TreeAccount {
    const account: TreeAccount = new TreeAccount({
      take: (bytes, hasTurn) => this.#take(bytes, hasTurn),
      close: () => this.#accounts.delete(account),
    });
    if (this.#ending.signal.aborted) account.close();
    else this.#accounts.add(account);
    return account;
  }

  /** Runs a reading, and gives its memory back. See `read`. */
  async reading<Result>(read: (account: TreeAccount) => Promise<Result>): Promise<Result> {
    const account = this.open();
    try {
      return await this.read(account, () => read(account));
    } finally {
      account.close();
    }
  }

  /**
   * Runs a reading that an account pays for. A reading of a large tree waits for its turn, so that large trees that are read
   * at the same time are all read. A reading that finds only in the middle that the tree is large runs again with a turn: it
   * must change nothing before it has charged the account.
   *
   * @throws AgentVmError `vm_stopped` when the VM ends, even if the reading does not end
   */
  async read<Result>(account: TreeAccount, read: () => Promise<Result>): Promise<Result> {
    if (!this.#isLarge) {
      try {
        account.hasTurn = false;
        return await this.inTurn(false, read);
      } catch (error) {
        if (!(error instanceof LargeTree)) throw error;
        account.reset();
      } finally {
        account.hasTurn = true;
      }
    }
    return await this.inTurn(true, async () => {
      this.#isLarge = false;
      return await read();
    });
  }

  /** Runs work on a tree, with a turn if the tree is large. */
  async inTurn<Result>(isLarge: boolean, work: () => Promise<Result>): Promise<Result> {
    const { signal } = this.#ending;
    if (!isLarge) return await unlessAborted(work(), signal);
    await turns.acquire(signal);
    const endTurn = once(() => turns.release());
    const timer = setTimeout(endTurn, MAX_TURN_MS).unref();
    try {
      return await unlessAborted(work(), signal);
    } finally {
      clearTimeout(timer);
      endTurn();
    }
  }

  /** Ends all readings and waits for a turn, and gives everything back. Idempotent. */
  close(): void {
    this.#ending.abort(vmStopped());
    for (const account of this.#accounts) account.close();
  }

  #take(bytes: number, hasTurn: boolean): void {
    const own = this.#bytes + bytes;
    // A small tree always has room, so that large trees of other VMs cannot keep its files from being stored.
    const shared = sharedPart(own) - sharedPart(this.#bytes);
    if (bytes > 0) {
      if (own > MAX_TREE_BYTES)
        throw limitExceeded({ MAX_TREE_BYTES }, "The VM's files need too much memory", REMEDY);
      if (shared > 0) {
        this.#isLarge = true;
        if (!hasTurn) throw new LargeTree("The tree is large");
        if (sharedBytes + shared > MAX_SERVER_TREE_BYTES)
          throw limitExceeded(
            { MAX_SERVER_TREE_BYTES },
            "The server reads too many files at the same time",
            "Try again later.",
          );
      }
    }
    this.#bytes = own;
    sharedBytes += shared;
  }
}

function once(work: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    work();
  };
}

interface AccountDeps {
  take(bytes: number, hasTurn: boolean): void;
  close(): void;
}

/** Memory of one reading, or of the watches of a VM. */
export class TreeAccount {
  /** Whether it may pay for a large tree. */
  hasTurn = true;
  readonly #deps: AccountDeps;
  #bytes = 0;
  #isClosed = false;

  constructor(deps: AccountDeps) {
    this.#deps = deps;
  }

  /**
   * @param bytes below 0 to give a part back
   * @throws AgentVmError `limit_exceeded`; `vm_stopped` after `close`
   */
  charge(bytes: number): void {
    if (this.#isClosed) {
      if (bytes > 0) throw vmStopped();
      return;
    }
    this.#deps.take(bytes, this.hasTurn);
    this.#bytes += bytes;
  }

  /** Gives back everything, for another attempt. */
  reset(): void {
    if (!this.#isClosed) this.charge(-this.#bytes);
  }

  /** Gives back everything. Idempotent. */
  close(): void {
    this.reset();
    this.#isClosed = true;
    this.#deps.close();
  }
}
