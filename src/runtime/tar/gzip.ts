import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { invalidArchive } from "./entry.ts";

const GZIP = [0x1f, 0x8b];
const PIECE_BYTES = 128 * 1024;

/** Unpacks gzip data piece by piece. Other data passes unchanged. */
export async function* gunzipped(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const pieces = source[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  const rest = async function* () {
    yield* first;
    for (let next = await pieces.next(); !next.done; next = await pieces.next()) yield next.value;
  };
  let bytes = 0;
  while (bytes < GZIP.length) {
    const next = await pieces.next();
    if (next.done) break;
    first.push(next.value);
    bytes += next.value.length;
  }
  const head = Buffer.concat(first).subarray(0, GZIP.length);
  if (head.equals(Buffer.from(GZIP))) yield* unpack(rest());
  else yield* rest();
}

async function* unpack(packed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = Readable.from(packed, { objectMode: true, highWaterMark: 1 });
  const unpacked = source
    .on("error", (error) => unpacked.destroy(error))
    .pipe(createGunzip({ chunkSize: PIECE_BYTES }));
  try {
    for await (const piece of unpacked) yield piece as Uint8Array;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    throw code.startsWith("Z_") ? invalidArchive("its gzip data is damaged") : error;
  } finally {
    source.destroy();
    unpacked.destroy();
  }
}
