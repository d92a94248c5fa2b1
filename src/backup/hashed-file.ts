import { createHash, type Hash } from "node:crypto";
import { constants, createReadStream, createWriteStream } from "node:fs";
import { open } from "node:fs/promises";
import { pipeline } from "node:stream/promises";

/** Size and content of a file. */
export interface Digest {
  size: number;
  sha256: string;
}

/**
 * Copies a file into a new file of this user alone, on disk. A link is not followed.
 *
 * @param size expected size: of a larger file one byte more is read. @default the whole file
 */
export async function copyHashed(source: string, target: string, size?: number): Promise<Digest> {
  const measured = new Measured();
  const input = await open(source, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  const output = createWriteStream(target, { flags: "wx", mode: 0o600, flush: true });
  await pipeline(
    input.createReadStream(size === undefined ? {} : { end: size }),
    (pieces) => measured.pass(pieces),
    output,
  );
  return measured.digest();
}

/** Reads a file. */
export async function hashed(path: string): Promise<Digest> {
  const measured = new Measured();
  for await (const piece of createReadStream(path)) measured.add(piece as Buffer);
  return measured.digest();
}

/** Brings a file to disk. */
export async function syncHashed(path: string): Promise<Digest> {
  const measured = new Measured();
  const file = await open(path, "r+");
  try {
    await file.sync();
    for await (const piece of file.createReadStream({ autoClose: false })) measured.add(piece as Buffer);
  } finally {
    await file.close();
  }
  return measured.digest();
}

class Measured {
  readonly #hash: Hash = createHash("sha256");
  #size = 0;

  add(piece: Buffer): void {
    this.#hash.update(piece);
    this.#size += piece.byteLength;
  }

  async *pass(pieces: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
    for await (const piece of pieces) {
      this.add(piece);
      yield piece;
    }
  }

  digest(): Digest {
    return { size: this.#size, sha256: this.#hash.digest("hex") };
  }
}
