import type { PreviewLogEntry } from "../../../api/methods/previews.ts";
import { PerSecond } from "../../../base/per-second.ts";
import { printable } from "../../../base/printable.ts";
import { MAX_PREVIEW_EVENTS_PER_SECOND, MAX_PREVIEW_LOG } from "../limits.ts";

const MAX_PATH_CHARS = 1_024;

/** Log of the requests to one VM's previews, newest last. */
export class PreviewLog {
  readonly #emit: (entry: PreviewLogEntry) => void;
  readonly #entries: PreviewLogEntry[] = [];
  readonly #events = new PerSecond(MAX_PREVIEW_EVENTS_PER_SECOND);

  constructor(emit: (entry: PreviewLogEntry) => void) {
    this.#emit = emit;
  }

  /** @param preview id or name; `undefined` for all */
  entries(preview?: string): PreviewLogEntry[] {
    return this.#entries
      .filter(({ id, name }) => preview === undefined || id === preview || name === preview)
      .map((entry) => ({ ...entry }));
  }

  add(entry: PreviewLogEntry): void {
    const shown = { ...entry, path: printable(entry.path.slice(0, MAX_PATH_CHARS)) };
    this.#entries.push(shown);
    if (this.#entries.length > MAX_PREVIEW_LOG) this.#entries.shift();
    if (!this.#events.isTooMany()) this.#emit(shown);
  }
}
