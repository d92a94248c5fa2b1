import { type AgentVmError, limitExceeded, vmStopped } from "../../api/errors.ts";
import { EndSignal } from "../../base/end-signal.ts";
import { Semaphore } from "../../base/semaphore.ts";
import { unlessAborted } from "../../base/within.ts";
import { MAX_SERVER_TREE_BYTES, MAX_TREE_BYTES, SMALL_TREE_BYTES } from "./limits.ts";

/** A reading that takes longer lets the next one begin, if there is room for both. Its storage may not answer. */
const MAX_TURN_MS = 30_000;

/** Longest wait of a reading for its turn. */
const MAX_WAIT_MS = 300_000;

/**
 * Estimated memory that the trees of all VMs take, without the first SMALL_TREE_BYTES of each VM and without the reading that
 * has the turn.
 */
let sharedBytes = 0;

/** The turn of readings of large trees. Two at the same time would take twice the memory and end no sooner. */
const turns = new Semaphore(1);

/** A reading without the turn has found a large tree. */
class LargeTree extends Error {}

/**
 * Limits the memory for one VM's tree, and together with all others that of the server. `close` ends every reading and gives
 * all memory back, so nothing of a VM outlives it.
 */
export class TreeBudget {
  #bytes = 0;
  /** Bytes that other VMs cannot have meanwhile. */
  #shared = 0;
  /** Bytes of the reading that has the turn. */
  #inTurn = 0;
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
      take: (bytes, kind) => this.#take(bytes, kind),
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
   * at the same time are all read, whatever else takes memory. A reading that finds only in the middle that the tree is large
   * runs again with a turn: it must change nothing before it has charged the account.
   *
   * @throws AgentVmError `vm_stopped` when the VM ends, even if the reading does not end
   */
  async read<Result>(account: TreeAccount, read: () => Promise<Result>): Promise<Result> {
    if (!this.#isLarge) {
      try {
        account.kind = "small";
        return await unlessAborted(read(), this.#ending.signal);
      } catch (error) {
        if (!(error instanceof LargeTree)) throw error;
        account.reset();
      } finally {
        account.kind = "held";
      }
    }
    const hold = () => account.become("held");
    const work = async () => {
      this.#isLarge = false;
      account.become("inTurn");
      return await read();
    };
    try {
      const result = await this.inTurn(work, hold);
      if (!hold()) throw serverIsFull();
      return result;
    } catch (error) {
      account.reset();
      account.kind = "held";
      throw error;
    }
  }

  /**
   * Runs work on a large tree in its turn.
   *
   * @param canShare whether the next work may begin, after a long time
   */
  async inTurn<Result>(work: () => Promise<Result>, canShare = () => true): Promise<Result> {
    const ending = this.#ending.signal;
    const wait = new EndSignal([ending]).after(MAX_WAIT_MS, serverIsFull);
    await wait.during((ends) => turns.acquire(ends));
    let hasTurn = true;
    const endTurn = () => {
      if (hasTurn) turns.release();
      hasTurn = false;
      clearInterval(timer);
    };
    const timer = setInterval(() => canShare() && endTurn(), MAX_TURN_MS).unref();
    try {
      return await unlessAborted(work(), ending);
    } finally {
      endTurn();
    }
  }

  /** Ends all readings and waits for a turn, and gives everything back. Idempotent. */
  close(): void {
    this.#ending.abort(vmStopped());
    for (const account of this.#accounts) account.close();
  }

  #take(bytes: number, kind: AccountKind): void {
    const own = this.#bytes + bytes;
    const inTurn = this.#inTurn + (kind === "inTurn" ? bytes : 0);
    // A small tree always has room, so that large trees of other VMs cannot keep its files from being stored.
    const shared = Math.max(0, own - SMALL_TREE_BYTES - inTurn);
    if (bytes > 0) {
      if (own > MAX_TREE_BYTES && kind !== "kept")
        throw limitExceeded(
          { MAX_TREE_BYTES },
          "The VM's files need too much memory",
          "Delete files of the VM, or exclude folders from checkpoints.",
        );
      if (own > SMALL_TREE_BYTES) {
        this.#isLarge = true;
        if (kind === "small") throw new LargeTree("The tree is large");
      }
      if (
        kind !== "kept" &&
        shared > this.#shared &&
        sharedBytes - this.#shared + shared > MAX_SERVER_TREE_BYTES
      )
        throw serverIsFull();
    }
    sharedBytes += shared - this.#shared;
    this.#bytes = own;
    this.#inTurn = inTurn;
    this.#shared = shared;
  }
}

function serverIsFull(): AgentVmError {
  return limitExceeded(
    { MAX_SERVER_TREE_BYTES },
    "The server reads too many files at the same time",
    "Try again later.",
  );
}

/**
 * Purpose of an account: a reading of a small tree, the reading that has the turn, memory that is held for longer, or memory
 * that is kept whatever the others hold.
 */
type AccountKind = "small" | "inTurn" | "held" | "kept";

interface AccountDeps {
  take(bytes: number, kind: AccountKind): void;
  close(): void;
}

/** Memory of one reading, or of the watches of a VM. */
export class TreeAccount {
  kind: AccountKind = "held";
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
    this.#deps.take(bytes, this.kind);
    this.#bytes += bytes;
  }

  /** Pays for something else from now on. @returns `false` if there is no room for it */
  become(kind: AccountKind): boolean {
    const bytes = this.#bytes;
    const before = this.kind;
    this.charge(-bytes);
    this.kind = kind;
    try {
      this.charge(bytes);
      return true;
    } catch {
      this.kind = before;
      this.charge(bytes);
      return false;
    }
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
