import { type ChildProcessByStdio, spawn } from "node:child_process";
import { constants, readFileSync } from "node:fs";
import { constants as os } from "node:os";
import type { Readable, Writable } from "node:stream";
import { vmStopped } from "../../../../api/errors.ts";
import { MAX_ATTRIBUTES_BYTES } from "../../../../api/limits.ts";
import { pause } from "../../pace.ts";
import type { Attribute, AttributesFound } from "../../persistent-tree.ts";
import { codeOfErrno, posixError } from "../../posix.ts";
import { sealedStdio } from "../descriptors.ts";
import { type SyscallNumbers, syscallNumbers } from "../start/arch.ts";
import { SYSTEM_PATH } from "../tools.ts";
import { decodeName, encodeName } from "./names.ts";

const PROGRAM = readFileSync(new URL("./attributes.pl", import.meta.url), "utf8");

/** Where the root lies in the child. */
const ROOT_FD = 3;

/** What is asked for is written in pieces of this size. */
const PIECE_BYTES = 64 * 1024;

/** A program that says nothing for so long is ended. */
const SILENCE_MS = 30_000;

const GONE: readonly number[] = [
  os.errno.ENOENT,
  os.errno.ENOTDIR,
  os.errno.ELOOP,
  os.errno.ESTALE,
  os.errno.EXDEV,
];

type Program = ChildProcessByStdio<Writable, Readable, null>;

/**
 * Extended attributes of a VM's files. Node has no call for them: a small perl program on the host has, which runs for
 * as long as it is asked. It holds the VM's root and resolves every path beneath it.
 */
export class Attributes {
  readonly #perl: string;
  readonly #numbers: SyscallNumbers;
  readonly #rootFd: () => number;
  readonly #running = new Set<Program>();
  #closed = false;

  private constructor(perl: string, numbers: SyscallNumbers, rootFd: () => number) {
    this.#perl = perl;
    this.#numbers = numbers;
    this.#rootFd = rootFd;
  }

  /** `undefined` on a host that cannot tell. */
  static by(perl: string | undefined, rootFd: () => number): Attributes | undefined {
    const numbers = syscallNumbers();
    return perl === undefined || numbers === undefined ? undefined : new Attributes(perl, numbers, rootFd);
  }

  async read(nodes: readonly { path: string; ino: number }[]): Promise<AttributesFound[]> {
    const found: AttributesFound[] = [];
    const encode = ({ path, ino }: { path: string; ino: number }) => encodeRequest("r", path, ino, []);
    for await (const answer of this.#ask(nodes, encode)) found.push(attributesIn(answer));
    return found;
  }

  async replace(nodes: readonly { path: string; attributes: readonly Attribute[] }[]): Promise<void> {
    const encode = ({ path, attributes }: { path: string; attributes: readonly Attribute[] }) =>
      encodeRequest("s", path, 0, attributes);
    let index = 0;
    for await (const answer of this.#ask(nodes, encode)) {
      const path = nodes[index++]?.path ?? "";
      const errno = answer.readUInt32BE(0);
      // A kernel without them keeps none.
      if (errno !== 0 && errno !== os.errno.EOPNOTSUPP)
        throw posixError(codeOfErrno(errno), { syscall: "setxattr", path });
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const ended = [...this.#running].map(
      (program) => new Promise((resolve) => program.once("exit", resolve)),
    );
    for (const program of this.#running) program.kill("SIGKILL");
    await Promise.all(ended);
  }

  /** One answer a node, in order. */
  async *#ask<Node>(nodes: readonly Node[], encode: (node: Node) => Buffer): AsyncGenerator<Buffer> {
    // To start a program holds the event loop for some milliseconds.
    await pause();
    const program = this.#start();
    let reason: Error | undefined;
    const silence = setTimeout(() => program.kill("SIGKILL"), SILENCE_MS);
    const writing = feed(program.stdin, nodes, encode).catch((error: Error) => {
      reason ??= error;
    });
    program.once("error", (error) => {
      reason ??= error;
    });
    let count = 0;
    try {
      for await (const answer of framesOf(program.stdout)) {
        silence.refresh();
        const turn = pause();
        if (turn !== null) await turn;
        count += 1;
        yield answer;
        if (count === nodes.length) return;
      }
      if (this.#closed) throw vmStopped();
      throw new Error(`The program for extended attributes ended early: ${reason?.message ?? "no reason"}`);
    } finally {
      clearTimeout(silence);
      program.kill("SIGKILL");
      await writing;
    }
  }

  #start(): Program {
    if (this.#closed) throw vmStopped();
    const { openat2, listxattr, getxattr, setxattr, removexattr } = this.#numbers;
    const settings = [
      ...[ROOT_FD, constants.O_NOFOLLOW, MAX_ATTRIBUTES_BYTES],
      ...[openat2, listxattr, getxattr, setxattr, removexattr],
    ];
    // -f: nothing of the site's own before the program.
    const program = spawn(this.#perl, ["-f", "-e", PROGRAM, "--", ...settings.map(String)], {
      stdio: sealedStdio(["pipe", "pipe", "ignore", this.#rootFd()]),
      cwd: "/",
      env: { PATH: SYSTEM_PATH },
      detached: true,
    }) as unknown as Program;
    this.#running.add(program);
    const gone = () => this.#running.delete(program);
    program.once("exit", gone);
    program.once("error", gone);
    return program;
  }
}

/** Writes requests as fast as they are taken. */
async function feed<Node>(
  stdin: Writable,
  nodes: readonly Node[],
  encode: (node: Node) => Buffer,
): Promise<void> {
  const write = (piece: Buffer[]) =>
    new Promise<void>((resolve, reject) => {
      stdin.write(Buffer.concat(piece), (error) => (error ? reject(error) : resolve()));
    });
  stdin.on("error", () => undefined);
  let piece: Buffer[] = [];
  let bytes = 0;
  for (const node of nodes) {
    const turn = pause();
    if (turn !== null) await turn;
    const encoded = encode(node);
    piece.push(encoded);
    bytes += encoded.length;
    if (bytes < PIECE_BYTES) continue;
    await write(piece);
    piece = [];
    bytes = 0;
  }
  if (bytes > 0) await write(piece);
}

async function* framesOf(stream: Readable): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const data of stream) {
    rest = rest.length === 0 ? (data as Buffer) : Buffer.concat([rest, data as Buffer]);
    let offset = 0;
    while (rest.length >= offset + 4) {
      const end = offset + 4 + rest.readUInt32BE(offset);
      if (rest.length < end) break;
      yield rest.subarray(offset + 4, end);
      offset = end;
    }
    rest = rest.subarray(offset);
  }
}

function encodeRequest(what: "r" | "s", path: string, ino: number, attributes: readonly Attribute[]): Buffer {
  const name = bytesOf(path === "/" ? "." : path.slice(1));
  const fields = attributes.flatMap((attribute) => [
    lengthOf(2, bytesOf(attribute.name)),
    lengthOf(4, attribute.value),
  ]);
  const head = Buffer.alloc(9);
  head.write(what, "latin1");
  head.writeBigUInt64BE(BigInt(ino), 1);
  return lengthOf(4, Buffer.concat([head, lengthOf(2, name), ...fields]));
}

function attributesIn(answer: Buffer): AttributesFound {
  const errno = answer.readUInt32BE(0);
  if (GONE.includes(errno)) return "gone";
  if (errno === os.errno.EOPNOTSUPP) return [];
  if (errno !== 0) return "unreadable";
  const found: Attribute[] = [];
  for (let offset = 4; offset < answer.length; ) {
    const nameEnd = offset + 2 + answer.readUInt16BE(offset);
    const valueEnd = nameEnd + 4 + answer.readUInt32BE(nameEnd);
    const name = decodeName(answer.toString("latin1", offset + 2, nameEnd));
    // A copy: the rest of what was read goes.
    found.push({ name, value: Uint8Array.from(answer.subarray(nameEnd + 4, valueEnd)) });
    offset = valueEnd;
  }
  return found;
}

function bytesOf(name: string): Buffer {
  const encoded = encodeName(name);
  return typeof encoded === "string" ? Buffer.from(encoded, "utf8") : encoded;
}

/** Bytes behind their length. */
function lengthOf(width: 2 | 4, bytes: Uint8Array): Buffer {
  const framed = Buffer.alloc(width + bytes.length);
  framed.writeUIntBE(bytes.length, 0, width);
  framed.set(bytes, width);
  return framed;
}
