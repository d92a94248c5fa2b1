import { extract as makeExtract } from "tar-stream";
import { MAX_ARCHIVE_HEADER_BYTES, MAX_TRANSFER_BYTES } from "../../api/limits.ts";
import { decodeName } from "../sandbox/kernel/rooted/names.ts";
import { pause } from "../sandbox/pace.ts";
import { type ArchiveContent, type ArchiveEntry, entryName, invalidArchive, refused } from "./entry.ts";

const BLOCK_BYTES = 512;

/** Handed to the parser at a time, so that it does not hold the event loop. */
const SLICE_BYTES = 128 * 1024;

const MODE_BITS = 0o7777;

/** The last moment of the year 9999; what lies outside of this and 1970 is no time of a file. */
const MAX_TIME_MS = 253_402_300_799_000;

/** A sparse file's own name is one that GNU tar makes up. */
const SPARSE_NAME = "GNU.sparse.name";

/** How streamx tells of an entry whose parser has ended. */
const ENTRY_CUT = "STREAM_DESTROYED";

type Parser = ReturnType<typeof makeExtract>;
type ParsedEntry = Parser extends AsyncIterable<infer Entry> ? Entry : never;

/** A header as tar-stream gives it: with what pax said, and numbers that are NaN where the archive has none. */
type Header = ParsedEntry["header"] & { pax?: Record<string, string> | null };

/**
 * The entries of a tar archive, in any of its usual forms: ustar, GNU and pax. It is read as it comes, whatever its size.
 *
 * @throws AgentVmError `invalid_archive` for what is no such archive, or ends too early
 */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<ArchiveEntry> {
  // One character a byte: names need not be UTF-8.
  const parser = makeExtract({ filenameEncoding: "latin1" } as object);
  const feeder = new Feeder(parser, source);
  try {
    for await (const parsed of parser) {
      const header: Header = parsed.header;
      const size = sizeOf(header);
      feeder.expect((parsed as unknown as { offset: number }).offset, size);
      yield describe(header, size > 0 ? contentOf(parsed, feeder) : []);
      // What nobody has read is passed over.
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

/** Gives a parser its input, as fast as it takes it, and knows how far the entries reach that it has told of. */
class Feeder {
  /** What the source or the parser has failed with. */
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

  /** Why the reading has failed. An entry says no more than that the parser has ended, and may say so before it does. */
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

  /** An entry begins at an offset. */
  expect(offset: number, size: number): void {
    this.#end = offset + BLOCK_BYTES + Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
  }

  /** An archive ends with blocks of zeros: one that was cut between two entries has none. */
  assertEnded(): void {
    if (this.#fed < this.#end + BLOCK_BYTES) throw invalidArchive("it ends too early");
  }

  stop(): void {
    this.#stopped = true;
    if (!this.#parser.destroyed) this.#parser.destroy(new Error("Nobody reads on"));
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
    // The parser keeps a long name or a pax header in memory until it is whole, whatever size it claims.
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
      if (isSparse(header))
        throw refused(header.pax?.[SPARSE_NAME] ?? name, "is a sparse file in GNU's form");
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
  throw refused(name, `has a size that no file can have`);
}

/** A pax header's text is UTF-8 and has been decoded; other names are bytes. */
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

function isSparse({ pax }: Header): boolean {
  return Object.keys(pax ?? {}).some((key) => key.startsWith("GNU.sparse"));
}

/** The parser's errors have neither a class nor a code. */
function asInvalidArchive(error: unknown): unknown {
  if (!(error instanceof Error) || error.name === "AgentVmError") return error;
  if ("code" in error && error.code !== ENTRY_CUT) return error;
  return /end of data/.test(error.message)
    ? invalidArchive("it ends too early")
    : invalidArchive("it is no tar archive");
}
