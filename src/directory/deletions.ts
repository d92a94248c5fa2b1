import type { ActorFiles } from "../rivet/actor-files.ts";
import { storageFailed } from "../runtime/store/coded-store.ts";
import type { VmRows } from "./vm-rows.ts";

/**
 * Pause before the server tries again to delete files that it could not delete.
 * @unit ms
 */
const RETRY_MS = 5_000;

/** VMs that are being deleted. A key stays taken until the files of its VM are gone. */
export class Deletions {
  readonly #rows: VmRows;
  readonly #files: ActorFiles;
  readonly #pending = new Map<string, PromiseWithResolvers<void>>();

  constructor(rows: VmRows, files: ActorFiles) {
    this.#rows = rows;
    this.#files = files;
  }

  /** Resolves when the VM is gone. @returns `undefined` for a VM that is not being deleted */
  of(actorId: string): Promise<void> | undefined {
    return this.#pending.get(actorId)?.promise;
  }

  begin(actorId: string): void {
    if (this.#pending.has(actorId)) return;
    this.#rows.markDestroying(actorId);
    const deletion = Promise.withResolvers<void>();
    deletion.promise.catch(() => undefined);
    this.#pending.set(actorId, deletion);
  }

  async end(actorId: string): Promise<void> {
    const deletion = this.#pending.get(actorId);
    try {
      await this.#files.remove(actorId);
      this.#rows.forget(actorId);
    } catch (error) {
      // Files of the old VM must not become those of a new one, so its key stays taken until they are gone.
      const failed = storageFailed("The files of a destroyed VM could not be deleted", error);
      const next = Promise.withResolvers<void>();
      next.promise.catch(() => undefined);
      this.#pending.set(actorId, next);
      deletion?.reject(failed);
      setTimeout(() => this.end(actorId).catch(() => undefined), RETRY_MS).unref();
      throw failed;
    }
    this.#pending.delete(actorId);
    deletion?.resolve();
  }
}
