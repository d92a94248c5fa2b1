import { extract as makeExtract } from "tar-stream";
import { MAX_TRANSFER_BYTES } from "../../api/limits.ts";
import { pause } from "../../base/pace.ts";
import { isSparse, sparseContent } from "../../base/sparse-map.ts";
import { decodeName } from "../sandbox/names.ts";
import { MODE_BITS } from "../sandbox/persistent-tree.ts";
import { type ArchiveContent, type ArchiveEntry, entryName, invalidArchive, refused } from "./entry.ts";
import { MAX_ARCHIVE_HEADER_BYTES } from "./limits.ts";
import { SPARSE_NAME } from "./sparse.ts";

const BLOCK_BYTES = 512;

const SPARSE = {
  maxMapBytes: MAX_ARCHIVE_HEADER_BYTES,
  damaged: () => invalidArchive("it has a sparse file with a damaged map"),
};

/** Maximum bytes given to the parser at a time, so that it does not block the event loop. */
const SLICE_BYTES = 128 * 1024;

/** End of the year 9999. Times of files are limited to 1970 up to this. */
const MAX_TIME_MS = 253_402_300_799_000;

/** Error code of streamx for an entry whose parser has ended. */
const ENTRY_CUT = "STREAM_DESTROYED";

type Parser = ReturnType<typeof makeExtract>;
type ParsedEntry = Parser extends AsyncIterable<infer Entry> ? Entry : never;

/** Header from tar-stream: with the pax records, and with NaN for numbers that the archive does not give. */
type Header = ParsedEntry["header"] & { pax?: Record<string, string> | null };

/**
 * Reads the entries of a tar archive in the formats ustar, GNU and pax. Streams, so the archive may have any size.
 *
 * @throws AgentVmError `invalid_archive` if the data is not such an archive, or ends too early
 */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<ArchiveEntry> {
  // latin1 keeps each byte of a name, because names need not be UTF-8.
  const parser = makeExtract({ filenameEncoding: "latin1" } as object);
  const feeder = new Feeder(parser, source);
  try {
    for await (const parsed of parser) {
      const header: Header = parsed.header;
      const size = sizeOf(header);
      feeder.expect((parsed as unknown as { offset: number }).offset, size);
      yield describe(header, size > 0 ? contentOf(parsed, feeder) : []);
      // Skip content that the consumer did not read.
      if (size > 0) for await (const _piece of parsed) await pause();
    }
    feeder.assertEnded();
  } catch (error) {
    throw await feeder.explain(error);
  } finally {
    feeder.stop();
  }
}

async function* contentOf(parsed: ParsedEntry, feeder: Feeder): AsyncGenerator<Uint8Array> {
  try {
    yield* parsed;
  } catch (error) {
    throw await feeder.explain(error);
  }
}

/** Feeds a parser at the parser's speed, and tracks the end of the last entry that the parser has reported. */
class Feeder {
  /** Error of the source or the parser. */
  #failure: unknown;
  readonly #parser: Parser;
  #fed = 0;
  #end = 0;
  #stopped = false;

  constructor(parser: Parser, source: AsyncIterable<Uint8Array>) {
    this.#parser = parser;
    parser.on("error", (error: Error) => {
      this.#failure ??= asInvalidArchive(error);
    });
    this.#feed(source).catch((error: Error) => {
      this.#failure ??= error;
      parser.destroy(error);
    });
  }

  /** Returns the cause of a failed read. An entry only reports that the parser has ended, maybe before the parser does. */
  async explain(error: unknown): Promise<unknown> {
    if (
      this.#failure === undefined &&
      error instanceof Error &&
      "code" in error &&
      error.code === ENTRY_CUT
    ) {
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    return this.#failure ?? asInvalidArchive(error);
  }

  /** Records the offset and size of the next entry. */
  expect(offset: number, size: number): void {
    this.#end = offset + BLOCK_BYTES + Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
  }

  /** Checks for the final block of zeros, which is missing if the archive was cut between two entries. */
  assertEnded(): void {
    if (this.#fed < this.#end + BLOCK_BYTES) throw invalidArchive("it ends too early");
  }

  stop(): void {
    this.#stopped = true;
    if (!this.#parser.destroyed) this.#parser.destroy(new Error("The reader has stopped"));
  }

  async #feed(source: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const piece of source) {
      for (let offset = 0; offset < piece.length; offset += SLICE_BYTES) {
        if (this.#stopped) return;
        await this.#write(piece.subarray(offset, offset + SLICE_BYTES));
      }
    }
    this.#parser.end();
  }

  async #write(slice: Uint8Array): Promise<void> {
    await pause();
    if (this.#parser.destroyed) return;
    // The parser buffers a long name or a pax header of any claimed size until it is complete.
    if (this.#fed > this.#end + MAX_ARCHIVE_HEADER_BYTES)
      throw invalidArchive(`it has a header of more than ${MAX_ARCHIVE_HEADER_BYTES} bytes`);
    this.#fed += slice.length;
    const { promise: drained, resolve } = Promise.withResolvers<void>();
    this.#parser.once("drain", resolve).once("close", resolve);
    if (!this.#parser.write(slice)) await drained;
    this.#parser.off("drain", resolve).off("close", resolve);
  }
}

function describe(header: Header, content: ArchiveContent): ArchiveEntry {
  const name = entryName(text(header.name, header.pax?.path));
  const common = { name, mode: (header.mode ?? 0) & MODE_BITS, mtimeMs: timeOf(header) };
  switch (header.type) {
    case "file":
    case "contiguous-file":
      if (header.pax?.[SPARSE_NAME] !== undefined && isSparse(header.pax)) {
        const real = entryName(header.pax[SPARSE_NAME]);
        return { ...common, name: real, type: "file", content: sparseContent(content, header.pax, SPARSE) };
      }
      if (hasSparseRecords(header))
        throw refused(header.pax?.[SPARSE_NAME] ?? name, "is a sparse file in an old form of GNU");
      return { ...common, type: "file", content };
    case "directory":
      return { ...common, type: "directory" };
    case "symlink":
      return { ...common, type: "symlink", target: linkOf(header) };
    case "link":
      return { ...common, type: "link", existing: entryName(linkOf(header)) };
    case "character-device":
    case "block-device":
    case "fifo":
      return { ...common, type: "other" };
    default:
      throw refused(name, "is of an unknown kind");
  }
}

function sizeOf({ size, name, type }: Header): number {
  const value = size ?? 0;
  if (Number.isSafeInteger(value) && value >= 0 && value <= MAX_TRANSFER_BYTES)
    return type === "directory" ? 0 : value;
  throw refused(name, `has an invalid size`);
}

/** Decodes a name. tar-stream has already decoded pax names as UTF-8; other names are bytes. */
function text(raw: string, pax: string | undefined): string {
  return pax ? raw : decodeName(raw);
}

function linkOf(header: Header): string {
  return text(header.linkname ?? "", header.pax?.linkpath);
}

function timeOf({ mtime, pax }: Header): number {
  const exact = pax?.mtime === undefined ? Number.NaN : Number(pax.mtime) * 1000;
  const timeMs = Number.isFinite(exact) ? exact : (mtime?.getTime() ?? 0);
  return Number.isFinite(timeMs) ? Math.min(Math.max(timeMs, 0), MAX_TIME_MS) : 0;
}

function hasSparseRecords({ pax }: Header): boolean {
  return Object.keys(pax ?? {}).some((key) => key.startsWith("GNU.sparse"));
}

/** Turns the parser's errors, which have neither a class nor a code, into `invalid_archive`. */
function asInvalidArchive(error: unknown): unknown {
  if (!(error instanceof Error) || error.name === "AgentVmError") return error;
  if ("code" in error && error.code !== ENTRY_CUT) return error;
  return /end of data/.test(error.message)
    ? invalidArchive("it ends too early")
    : invalidArchive("it is not a tar archive");
}
