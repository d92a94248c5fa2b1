import { AgentVmError, invalidArgument } from "../../api/errors.ts";
import type { ArchiveImport } from "../../api/types.ts";
import { Mutex } from "../mutex.ts";
import { gunzipped } from "./gzip.ts";
import type { ChangeTree, Import } from "./import.ts";
import { readTar } from "./read.ts";

interface Piece {
  data: Uint8Array;
  /** Called when it has been taken, and the next one is wanted. */
  taken(): void;
}

/** A tar archive on its way into the VM: pieces come in their order, and each is unpacked before it is answered. */
export class TarUpload {
  readonly #import: Import;
  readonly #unpacking: Promise<void>;
  #received = 0;
  readonly #turns = new Mutex();
  #piece = Promise.withResolvers<Piece | undefined>();
  #committed = false;

  constructor(into: Import) {
    this.#import = into;
    this.#unpacking = into.stage(readTar(gunzipped(this.#pieces())));
    // Whoever writes or commits is told.
    this.#unpacking.catch(() => undefined);
  }

  /** @throws AgentVmError what is wrong with the archive so far, EBADF once it is closed */
  write(offset: number, data: Uint8Array): Promise<void> {
    return this.#turns.run(async () => {
      if (offset !== this.#received) throw invalidArgument("offset", String(this.#received), offset);
      this.#received += data.length;
      const { promise: taken, resolve } = Promise.withResolvers<void>();
      this.#piece.resolve({ data, taken: resolve });
      // An archive that is refused takes no more.
      await Promise.race([taken, this.#unpacking]);
    });
  }

  /** Puts everything in its place. */
  commit(change: ChangeTree): Promise<ArchiveImport> {
    return this.#turns.run(async () => {
      if (this.#committed) throw closed();
      this.#committed = true;
      this.#piece.resolve(undefined);
      await this.#unpacking;
      return await this.#import.commit(change);
    });
  }

  async close(): Promise<void> {
    this.#piece.reject(closed());
    this.#piece.promise.catch(() => undefined);
    await this.#import.close();
  }

  async *#pieces(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = await this.#piece.promise;
      if (piece === undefined) return;
      this.#piece = Promise.withResolvers();
      yield piece.data;
      piece.taken();
    }
  }
}

function closed(): AgentVmError {
  return new AgentVmError("EBADF", "EBADF: bad file descriptor, write");
}
