import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { valueFolder } from "./value-files.ts";

/** Age of a change above which a further change shows in the time of a folder, and a file is whole, in milliseconds. */
const SETTLED_MS = 5_000;

interface Known {
  /** Time of the folder's change that the sizes include. `undefined` if there may be more of them. */
  mtimeMs: number | undefined;
  /** Sizes of files by name. */
  sizes: ReadonlyMap<string, number>;
  bytes: number;
}

/**
 * The bytes of actors' large values. A file is written once, so only new files are looked at. Part of agent-vm's own storage of
 * actors.
 */
export class ValueSizes {
  readonly #databases: string;
  readonly #known = new Map<string, Known>();
  /** Looks under way, which callers at the same time share. */
  readonly #looks = new Map<string, Promise<number>>();

  /** @param databases folder of the actors' databases */
  constructor(databases: string) {
    this.#databases = databases;
  }

  async of(actorId: string): Promise<number> {
    let look = this.#looks.get(actorId);
    if (look === undefined) {
      look = this.#look(actorId).finally(() => this.#looks.delete(actorId));
      this.#looks.set(actorId, look);
    }
    return await look;
  }

  forget(actorId: string): void {
    this.#known.delete(actorId);
  }

  async #look(actorId: string): Promise<number> {
    const folder = valueFolder(join(this.#databases, `${actorId}.db`));
    const found = await sizeOf(folder);
    if (found === undefined) {
      this.forget(actorId);
      return 0;
    }
    const { mtimeMs } = found;
    const known = this.#known.get(actorId);
    if (known?.mtimeMs === mtimeMs) return known.bytes;
    const settledBefore = Date.now() - SETTLED_MS;
    const sizes = new Map<string, number>();
    let bytes = 0;
    let isSettled = mtimeMs < settledBefore;
    for (const name of await readdir(folder).catch(() => [])) {
      const before = known?.sizes.get(name);
      const file = before === undefined ? await sizeOf(join(folder, name)) : undefined;
      const size = before ?? file?.size ?? 0;
      bytes += size;
      if (before !== undefined || (file !== undefined && file.mtimeMs < settledBefore)) sizes.set(name, size);
      else isSettled = false;
    }
    this.#known.set(actorId, { mtimeMs: isSettled ? mtimeMs : undefined, sizes, bytes });
    return bytes;
  }
}

async function sizeOf(path: string): Promise<{ size: number; mtimeMs: number } | undefined> {
  return await stat(path).catch(() => undefined);
}
