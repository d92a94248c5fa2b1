import { constants as os } from "node:os";
import { vmStopped } from "../../../../api/errors.ts";
import { pause } from "../../../../base/pace.ts";
import { decodeName, nameBytes } from "../../names.ts";
import type { Attribute, AttributesFound, Inodes, TreePlace } from "../../persistent-tree.ts";
import { codeOfErrno, posixError } from "../../posix.ts";
import { ROOT, Way } from "../../tree-path.ts";
import { encodeFrame } from "../helpers/frames.ts";
import { HelperProcess } from "../helpers/helper-process.ts";
import { helperCommand, helperSource } from "../helpers/programs.ts";
import { MAX_ATTRIBUTES_BYTES } from "../limits.ts";

const PROGRAM = helperSource("attributes");

type Sized<Node> = Iterable<Node> & { readonly length: number };

const NO_ATTRIBUTES: Attribute[] = [];

/** Descriptor of the root in the helper. */
const ROOT_FD = 3;

/** Longest answer: an errno and a file's attributes. The last attribute may pass the limit. */
const MAX_ANSWER_BYTES = MAX_ATTRIBUTES_BYTES + 1024;

/** Size of the pieces in which requests are written. */
const PIECE_BYTES = 64 * 1024;

/** A program that sends nothing for this long is killed. */
const SILENCE_MS = 30_000;

const GONE: readonly number[] = [
  os.errno.ENOENT,
  os.errno.ENOTDIR,
  os.errno.ELOOP,
  os.errno.ESTALE,
  os.errno.EXDEV,
];

/**
 * Extended attributes of a VM's files. Node has no call for them, so each request starts a small perl program on the
 * host. It gets the VM's root as a descriptor and resolves every name beneath it.
 */
export class Attributes {
  readonly #perl: string;
  readonly #rootFd: number;
  readonly #running = new Set<HelperProcess>();
  readonly #closing = new AbortController();

  constructor(perl: string, rootFd: number) {
    this.#perl = perl;
    this.#rootFd = rootFd;
  }

  async *read(places: Inodes): AsyncGenerator<AttributesFound> {
    const way = new Way();
    const encode = (place: TreePlace & { ino: number }) => encodeRequest(way, place, place.ino, []);
    for await (const answer of this.#ask("r", places, encode)) yield attributesIn(answer);
  }

  async replace(nodes: readonly { place: TreePlace; attributes: readonly Attribute[] }[]): Promise<void> {
    const way = new Way();
    const encode = ({ place, attributes }: { place: TreePlace; attributes: readonly Attribute[] }) =>
      encodeRequest(way, place, 0, attributes);
    let index = 0;
    for await (const answer of this.#ask("s", nodes, encode)) {
      const path = nodes[index++]?.place.name ?? "";
      const errno = answer.readUInt32BE(0);
      // A kernel without extended attributes drops them.
      if (errno !== 0 && errno !== os.errno.EOPNOTSUPP)
        throw posixError(codeOfErrno(errno), { syscall: "setxattr", path });
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([...this.#running].map((program) => program.close()));
  }

  /** Sends a request for each node. @returns the answers, in order */
  async *#ask<Node>(kind: "r" | "s", nodes: Sized<Node>, encode: (node: Node) => Buffer) {
    if (nodes.length === 0) return;
    const program = await this.#start();
    const silence = setTimeout(() => program.kill(), SILENCE_MS);
    let failure: unknown;
    const writing = feed(program, kind, nodes, encode).catch((error: unknown) => {
      failure = error;
      program.kill();
    });
    let count = 0;
    try {
      for await (const { body } of program.frames()) {
        silence.refresh();
        const turn = pause();
        if (turn !== null) await turn;
        count += 1;
        yield body;
        if (count === nodes.length) return;
      }
      if (this.#closing.signal.aborted) throw vmStopped();
      await program.ended;
      throw failure ?? program.loss;
    } finally {
      clearTimeout(silence);
      program.kill();
      await writing;
    }
  }

  async #start(): Promise<HelperProcess> {
    const { signal } = this.#closing;
    if (signal.aborted) throw vmStopped();
    const program = await HelperProcess.launch({
      name: "program for extended attributes",
      command: helperCommand(this.#perl, PROGRAM, [ROOT_FD, MAX_ATTRIBUTES_BYTES]),
      rootFd: this.#rootFd,
      maxFrameBytes: MAX_ANSWER_BYTES,
      signal,
    }).catch((error: unknown) => {
      throw signal.aborted ? vmStopped() : error;
    });
    if (signal.aborted) program.kill();
    this.#running.add(program);
    void program.ended.then(() => this.#running.delete(program));
    return program;
  }
}

/** Writes requests as fast as the program reads them. */
async function feed<Node>(
  program: HelperProcess,
  kind: "r" | "s",
  nodes: Sized<Node>,
  encode: (node: Node) => Buffer,
): Promise<void> {
  let piece: Buffer[] = [];
  let bytes = 0;
  let index = 0;
  for (const node of nodes) {
    const turn = pause();
    if (turn !== null) await turn;
    if (program.isLost) return;
    const encoded = encodeFrame(kind, index++, encode(node));
    piece.push(encoded);
    bytes += encoded.length;
    if (bytes < PIECE_BYTES) continue;
    await program.write(Buffer.concat(piece));
    piece = [];
    bytes = 0;
  }
  if (bytes > 0) await program.write(Buffer.concat(piece));
}

function encodeRequest(way: Way, place: TreePlace, ino: number, attributes: readonly Attribute[]): Buffer {
  const shared = Buffer.alloc(4);
  shared.writeUInt32BE(way.to(place.parent ?? ROOT));
  const names = [...way.namesFrom(shared.readUInt32BE(0)), place.name || "."];
  const fields = attributes.flatMap((attribute) => [
    withLength(2, nameBytes(attribute.name)),
    withLength(4, attribute.value),
  ]);
  const inode = Buffer.alloc(8);
  inode.writeBigUInt64BE(BigInt(ino));
  return Buffer.concat([inode, shared, withLength(4, nameBytes(names.join("/"))), ...fields]);
}

function attributesIn(answer: Buffer): AttributesFound {
  const errno = answer.readUInt32BE(0);
  if (GONE.includes(errno)) return "gone";
  // Most files have no attributes. One array for all of them takes less memory.
  if (errno === os.errno.EOPNOTSUPP || (errno === 0 && answer.length === 4)) return NO_ATTRIBUTES;
  if (errno !== 0) return "unreadable";
  const found: Attribute[] = [];
  for (let offset = 4; offset < answer.length; ) {
    const nameEnd = offset + 2 + answer.readUInt16BE(offset);
    const valueEnd = nameEnd + 4 + answer.readUInt32BE(nameEnd);
    const name = decodeName(answer.toString("latin1", offset + 2, nameEnd));
    // A copy, so that the rest of the answer can be freed.
    found.push({ name, value: Uint8Array.from(answer.subarray(nameEnd + 4, valueEnd)) });
    offset = valueEnd;
  }
  return found;
}

/** Prefixes bytes with their length. */
function withLength(width: 2 | 4, bytes: Uint8Array): Buffer {
  const framed = Buffer.alloc(width + bytes.length);
  framed.writeUIntBE(bytes.length, 0, width);
  framed.set(bytes, width);
  return framed;
}
