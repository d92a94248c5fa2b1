import { AgentVmError, invalidArgument } from "../../api/errors.ts";
import type { ArchiveImport } from "../../api/methods/snapshot-types.ts";
import { Mutex } from "../../base/mutex.ts";
import { Incoming } from "../transfers/bodies.ts";
import { gunzipped } from "./gzip.ts";
import type { ChangeTree, Import } from "./import.ts";
import { readTar } from "./read.ts";

interface Piece {
  data: Uint8Array;
  /** Called when the parser has consumed the piece and wants the next one. */
  taken(): void;
}

/** Receives a tar archive for the VM. Pieces must arrive in order. Each write resolves after its piece is unpacked. */
export class TarUpload extends Incoming {
  readonly #import: Import;
  readonly #unpacking: Promise<void>;
  #received = 0;
  readonly #turns = new Mutex();
  #piece = Promise.withResolvers<Piece | undefined>();
  #committed = false;

  constructor(into: Import) {
    super();
    this.#import = into;
    this.#unpacking = into.stage(readTar(gunzipped(this.#pieces())));
    // `write` and `commit` report the error.
    this.#unpacking.catch(() => undefined);
  }

  get offset(): number {
    return this.#received;
  }

  /** @throws AgentVmError `invalid_archive` and other errors of unpacking, EBADF after `close` */
  write(offset: number, data: Uint8Array): Promise<void> {
    return this.#turns.run(async () => {
      if (offset !== this.#received) throw invalidArgument("offset", String(this.#received), offset);
      this.#received += data.length;
      const { promise: taken, resolve } = Promise.withResolvers<void>();
      this.#piece.resolve({ data, taken: resolve });
      // A refused archive never takes the piece.
      await Promise.race([taken, this.#unpacking]);
    });
  }

  /** Puts all entries in place. */
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
    this.turn.cut();
    this.#piece.reject(closed());
    this.#piece.promise.catch(() => undefined);
    await this.#import.close();
  }

  async *#pieces(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = await this.#piece.promise;
      if (piece === undefined) return;
      this.#piece = Promise.withResolvers();
      // The parsers may keep a part of it, and the bytes are valid until the write resolves.
      yield new Uint8Array(piece.data);
      piece.taken();
    }
  }
}

function closed(): AgentVmError {
  return new AgentVmError("EBADF", "EBADF: bad file descriptor, write");
}
