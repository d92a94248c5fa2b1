import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { valueFolder } from "./value-files.ts";

/** Age of a folder's last change above which a further change shows in its time, in milliseconds. */
const SETTLED_MS = 1_000;

interface Known {
  mtimeMs: number;
  bytes: number;
}

/** The bytes of actors' large values. The files are never changed, so a folder without a change has as many as before. */
export class ValueSizes {
  readonly #databases: string;
  readonly #known = new Map<string, Known>();

  /** @param databases folder of the actors' databases */
  constructor(databases: string) {
    this.#databases = databases;
  }

  async of(actorId: string): Promise<number> {
    const folder = valueFolder(join(this.#databases, `${actorId}.db`));
    const mtimeMs = await stat(folder).then(
      (found) => found.mtimeMs,
      () => undefined,
    );
    if (mtimeMs === undefined) {
      this.forget(actorId);
      return 0;
    }
    const known = this.#known.get(actorId);
    if (known?.mtimeMs === mtimeMs) return known.bytes;
    const isSettled = mtimeMs < Date.now() - SETTLED_MS;
    let bytes = 0;
    for (const name of await readdir(folder).catch(() => []))
      bytes += await stat(join(folder, name)).then(
        ({ size }) => size,
        () => 0,
      );
    if (isSettled) this.#known.set(actorId, { mtimeMs, bytes });
    return bytes;
  }

  forget(actorId: string): void {
    this.#known.delete(actorId);
  }
}
