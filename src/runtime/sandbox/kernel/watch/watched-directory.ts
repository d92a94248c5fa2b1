/** A directory of a watched tree, and what is known to be in it. */
export class WatchedDirectory {
  name: string;
  /** `undefined` for the topmost one, and once the directory is no part of the tree any more. */
  parent: WatchedDirectory | undefined;
  /** Names the kernel's watch, while there is one. */
  wd: number | undefined;
  /** Counts the requests to watch it; the answer to the last one counts. */
  requests = 0;
  /** It counts among those that may be watched. */
  isCounted = false;
  readonly entries = new Map<string, WatchedDirectory | "other">();

  constructor(name: string, parent?: WatchedDirectory) {
    this.name = name;
    this.parent = parent;
  }

  /** It and all directories below. */
  *all(): Generator<WatchedDirectory> {
    const pending: WatchedDirectory[] = [this];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      for (const entry of next.entries.values()) if (entry !== "other") pending.push(entry);
      yield next;
    }
  }

  /** Names from the topmost directory, without its own. */
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

/** What all watches of a VM may know together. */
export class WatchBudget {
  readonly name: string;
  readonly maximum: number;
  #used = 0;

  constructor(name: string, maximum: number) {
    this.name = name;
    this.maximum = maximum;
  }

  /** What of it is taken. */
  get used(): number {
    return this.#used;
  }

  /** `false` where there is no room. */
  take(): boolean {
    if (this.#used >= this.maximum) return false;
    this.#used += 1;
    return true;
  }

  give(count = 1): void {
    this.#used -= count;
  }
}
