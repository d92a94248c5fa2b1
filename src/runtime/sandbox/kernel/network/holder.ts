import { closeSync, openSync, readSync } from "node:fs";
import { pause } from "../../pace.ts";
import { heldSockets, type SearchLimits } from "./held-sockets.ts";

/** Searches of one VM in a second, and the descriptors that they look at together: a flood of questions costs no more. */
const MAX_SEARCHES_PER_SECOND = 20;
const MAX_SEARCHED_DESCRIPTORS_PER_SECOND = 16_384;

/** What is read of one table: as much as thousands of connections that have just ended. */
const MAX_TABLE_BYTES = 1024 * 1024;

const READ_BYTES = 64 * 1024;

/** In the table of IPv6 dual-stack programs such as Java's have their IPv4 addresses, behind this. */
const TABLES = [
  ["tcp", ""],
  ["tcp6", "0000000000000000FFFF0000"],
] as const;

/** A connection to 127.0.0.1, as this side of it sees the other. */
export interface OtherEnd {
  /** An IPv4 address inside, and its port. */
  address: string;
  port: number;
  /** Port of this side. */
  ownPort: number;
}

interface Question {
  end: OtherEnd;
  answer(pid: number | undefined): void;
}

/**
 * Tells which process of a VM holds the other end of a connection. The kernel says it in two steps that both read much:
 * a table of sockets, and the descriptors of all processes. So questions that come at the same time are answered by one
 * search, and what exceeds the searches of a second is answered with `undefined`.
 */
export class Holders {
  readonly #procFd: number;
  #waiting: Question[] = [];
  #isSearching = false;
  #second = -1;
  #searches = 0;
  #limits: SearchLimits;

  /** @param signal ends a search, with the descriptor of the procfs. */
  constructor(procFd: number, signal: AbortSignal) {
    this.#procFd = procFd;
    this.#limits = { left: 0, signal };
  }

  /** `undefined` where the process has gone, or cannot be found. */
  find(end: OtherEnd): Promise<number | undefined> {
    return new Promise((answer) => {
      this.#waiting.push({ end, answer });
      if (!this.#isSearching) void this.#search();
    });
  }

  async #search(): Promise<void> {
    this.#isSearching = true;
    while (this.#waiting.length > 0) {
      const questions = this.#waiting.splice(0);
      const found = this.#mayGoOn() ? await search(this.#procFd, questions, this.#limits) : NOBODY;
      for (const question of questions) question.answer(found.get(question));
    }
    this.#isSearching = false;
  }

  #mayGoOn(): boolean {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#searches = 0;
      this.#limits.left = MAX_SEARCHED_DESCRIPTORS_PER_SECOND;
    }
    this.#searches += 1;
    return this.#searches <= MAX_SEARCHES_PER_SECOND && this.#limits.left > 0;
  }
}

const NOBODY: ReadonlyMap<Question, number> = new Map();

async function search(procFd: number, questions: Question[], limits: SearchLimits) {
  const found = new Map<Question, number>();
  const asked = await inodesOf(procFd, questions, limits.signal);
  if (asked.size === 0) return found;
  for await (const { inode, pid } of heldSockets(procFd, limits)) {
    const question = asked.get(inode);
    if (question === undefined) continue;
    found.set(question, pid);
    asked.delete(inode);
    if (asked.size === 0) break;
  }
  return found;
}

/** Which sockets are asked for. */
async function inodesOf(procFd: number, questions: Question[], signal: AbortSignal) {
  const asked = new Map<string, Question>();
  for (const [table, prefix] of TABLES) {
    const wanted = new Map(questions.map((question) => [pairOf(question.end, prefix), question]));
    const width = [...wanted.keys()][0]?.length ?? 0;
    for await (const lines of linesOf(`/proc/self/fd/${procFd}/1/net/${table}`, signal)) {
      for (const line of lines) {
        // `   0: LOCAL REMOTE STATE ...`
        const start = line.indexOf(": ") + 2;
        const question = wanted.get(line.slice(start, start + width));
        const inode = question && line.trimStart().split(/\s+/)[9];
        // 0 is a connection that nobody holds any more.
        if (question !== undefined && inode !== undefined && inode !== "0") asked.set(inode, question);
      }
      if (asked.size === questions.length) return asked;
    }
  }
  return asked;
}

/** How the tables write a connection, seen from its holder: addresses as the machine's words, in hexadecimal. */
function pairOf({ address, port, ownPort }: OtherEnd, prefix: string): string {
  return `${prefix}${hexOf(address)}:${portHex(port)} ${prefix}${hexOf("127.0.0.1")}:${portHex(ownPort)}`;
}

function hexOf(address: string): string {
  const bytes = Buffer.from(address.split(".").map(Number));
  return Buffer.from(bytes.reverse()).toString("hex").toUpperCase();
}

function portHex(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, "0");
}

/** As far as MAX_TABLE_BYTES go. */
async function* linesOf(path: string, signal: AbortSignal): AsyncGenerator<string[]> {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch {
    // A kernel without IPv6, or a VM that has just ended.
    return;
  }
  try {
    const buffer = Buffer.alloc(READ_BYTES);
    let rest = "";
    for (let total = 0; total < MAX_TABLE_BYTES; ) {
      await pause();
      signal.throwIfAborted();
      const count = readSync(fd, buffer);
      if (count === 0) return;
      total += count;
      const lines = (rest + buffer.toString("latin1", 0, count)).split("\n");
      rest = lines.pop() ?? "";
      yield lines;
    }
  } catch {
    // The VM has ended meanwhile.
  } finally {
    closeSync(fd);
  }
}
