import { AgentVmError, limitExceeded } from "../../../../api/errors.ts";
import type { TreeAccount } from "../../tree-budget.ts";

/** A directory of a watched tree and its known entries. */
export class WatchedDirectory {
  name: string;
  /** `undefined` for the topmost directory and for a directory that was removed from the tree. */
  parent: WatchedDirectory | undefined;
  /** Watch descriptor, while the kernel watches the directory. */
  wd: number | undefined;
  /** Number of requests to watch the directory. Only the answer to the last request is valid. */
  requests = 0;
  /** The directory is counted in the budget of watched directories. */
  isCounted = false;
  readonly entries = new Map<string, WatchedDirectory | "other">();

  constructor(name: string, parent?: WatchedDirectory) {
    this.name = name;
    this.parent = parent;
  }

  /** Yields the directory and all directories below it. */
  *all(): Generator<WatchedDirectory> {
    const pending: WatchedDirectory[] = [this];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      for (const entry of next.entries.values()) if (entry !== "other") pending.push(entry);
      yield next;
    }
  }

  /** Names on the way from the topmost directory to this directory, without the topmost name. */
  get way(): string[] {
    const names: string[] = [];
    for (let at: WatchedDirectory = this; at.parent !== undefined; at = at.parent) names.unshift(at.name);
    return names;
  }

  isBelow(top: WatchedDirectory): boolean {
    let at: WatchedDirectory | undefined = this;
    while (at !== undefined && at !== top) at = at.parent;
    return at === top;
  }
}

/** Memory that watched entries or directories take. */
export interface WatchMemory {
  account: TreeAccount;
  /** Bytes of one of them. */
  each: number;
}

/** A limit that all watches of a VM share. */
export class WatchBudget {
  readonly #name: string;
  readonly #maximum: number;
  readonly #memory: WatchMemory | undefined;
  #used = 0;

  constructor(name: string, maximum: number, memory?: WatchMemory) {
    this.#name = name;
    this.#maximum = maximum;
    this.#memory = memory;
  }

  /** Takes one. @returns the error if a limit is reached */
  take(): AgentVmError | undefined {
    if (this.#used >= this.#maximum)
      return limitExceeded(
        { [this.#name]: this.#maximum },
        "Limit of watched files reached",
        "Watch a smaller directory, or exclude names.",
      );
    try {
      this.#memory?.account.charge(this.#memory.each);
    } catch (error) {
      if (error instanceof AgentVmError) return error;
      throw error;
    }
    this.#used += 1;
    return undefined;
  }

  give(count = 1): void {
    this.#used -= count;
    if (this.#memory !== undefined) this.#memory.account.charge(-count * this.#memory.each);
  }
}
