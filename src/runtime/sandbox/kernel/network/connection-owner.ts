import { heldSockets, type SearchLimits, tableLines } from "./held-sockets.ts";

/**
 * Searches for the programs behind denied connections of one VM.
 * @unit searches
 * @past Further denials have no `pid`.
 */
const MAX_SEARCHES_PER_SECOND = 20;
/**
 * Descriptors inspected in searches for the programs behind denied connections.
 * @unit descriptors
 * @past Further denials have no `pid`.
 */
const MAX_SEARCHED_DESCRIPTORS_PER_SECOND = 16_384;

/**
 * Tables of sockets, and the prefix of IPv4 addresses: dual-stack programs such as Java's have them in the IPv6 table.
 */
const TABLES = [
  ["tcp", ""],
  ["tcp6", "0000000000000000FFFF0000"],
] as const;

/** The other end of a connection. */
interface OtherEnd {
  /** Address of the other end in the VM. */
  address: string;
  port: number;
  /** Address and port of the server's end. */
  ownAddress: string;
  ownPort: number;
}

interface Question {
  end: OtherEnd;
  answer(pid: number | undefined): void;
}

/**
 * Finds the process of a VM at the other end of a connection. A search reads much: a table of sockets, and the
 * descriptors of all processes. So one search answers all concurrent questions, and questions above the limit per
 * second get `undefined`.
 */
export class ConnectionOwners {
  readonly #procFd: number;
  #waiting: Question[] = [];
  #isSearching = false;
  #second = -1;
  #searches = 0;
  #limits: SearchLimits;

  /** @param signal ends a search. Its owner closes `procFd` after the abort */
  constructor(procFd: number, signal: AbortSignal) {
    this.#procFd = procFd;
    this.#limits = { left: 0, signal };
  }

  /** @returns `undefined` if the process has ended or cannot be found */
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
      const found = this.#maySearch() ? await search(this.#procFd, questions, this.#limits) : NOBODY;
      for (const question of questions) question.answer(found.get(question));
    }
    this.#isSearching = false;
  }

  #maySearch(): boolean {
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

/** Finds the inodes of the sockets in the kernel's tables. */
async function inodesOf(procFd: number, questions: Question[], signal: AbortSignal) {
  const asked = new Map<string, Question>();
  for (const [table, prefix] of TABLES) {
    const wanted = new Map(questions.map((question) => [pairOf(question.end, prefix), question]));
    for await (const lines of tableLines(procFd, table, signal)) {
      for (const line of lines) {
        // `   0: LOCAL REMOTE STATE ...`
        const [, local, remote] = line.trimStart().split(" ", 3);
        const question = wanted.get(`${local} ${remote}`);
        const inode = question && line.trimStart().split(/\s+/)[9];
        // Inode 0 is a connection that no process holds any more.
        if (question !== undefined && inode !== undefined && inode !== "0") asked.set(inode, question);
      }
      if (asked.size === questions.length) return asked;
    }
  }
  return asked;
}

/** Formats a connection like the tables, from its owner's side: addresses are machine words in hexadecimal. */
function pairOf({ address, port, ownAddress, ownPort }: OtherEnd, prefix: string): string {
  return `${hexOf(address, prefix)}:${portHex(port)} ${hexOf(ownAddress, prefix)}:${portHex(ownPort)}`;
}

function hexOf(address: string, prefix: string): string {
  if (!address.includes(":")) return prefix + wordHex(address.split(".").map(Number));
  const [head = "", tail = ""] = address.split("::").map((half) => half.split(":").filter(Boolean));
  const words = [...head, ...Array(Math.max(0, 8 - head.length - tail.length)).fill("0"), ...tail];
  const bytes = [...Buffer.from(words.map((word) => word.padStart(4, "0")).join(""), "hex")];
  return [0, 4, 8, 12].map((at) => wordHex(bytes.slice(at, at + 4))).join("");
}

function wordHex(bytes: number[]): string {
  return Buffer.from(bytes).reverse().toString("hex").toUpperCase();
}

function portHex(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, "0");
}
