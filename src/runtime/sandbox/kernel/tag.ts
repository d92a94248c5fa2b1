import { writeFileSync } from "node:fs";
import { descendants, readProc } from "./procfs.ts";

/**
 * A mark that a process hands down to all its descendants, whatever they do to their parent, session, process group,
 * environment or descriptors: the timer slack, which fork(2) and execve(2) keep (prctl(2), PR_SET_TIMERSLACK). It adds
 * nanoseconds to the default of 50 us, so no timer feels it. It finds daemons when a command's tree has to be killed;
 * a program that sets its own slack escapes that, but never its VM.
 */
const DEFAULT_SLACK_NS = 50_000;
const MAX_TAGS = 20_000;

/** The tags of one VM. */
export class Tags {
  readonly #initPid: number;
  readonly #count: number;
  #last = 0;
  /** Those of commands that run. */
  readonly #taken = new Set<number>();
  /** Those that daemons of earlier commands still had when the count began anew. */
  #inherited = new Set<number>();

  constructor(initPid: number, count = MAX_TAGS) {
    this.#initPid = initPid;
    this.#count = count;
  }

  /** A tag that no living process of the VM has; give it back when the command has ended. */
  acquire(): number {
    for (let tries = 0; tries < this.#count; tries++) {
      if (this.#last === this.#count) {
        this.#last = 0;
        this.#inherited = new Set(descendants(this.#initPid).map(tagOf));
      }
      this.#last++;
      if (this.#taken.has(this.#last) || this.#inherited.has(this.#last)) continue;
      this.#taken.add(this.#last);
      return this.#last;
    }
    throw new Error(`${this.#count} commands are running`);
  }

  release(tag: number): void {
    this.#taken.delete(tag);
  }
}

/** Runs `start`, which forks on this thread, so that the child bears the tag. */
export function withTag<Result>(tag: number, start: () => Result): Result {
  if (!setSlack(DEFAULT_SLACK_NS + tag)) return start();
  try {
    return start();
  } finally {
    setSlack(DEFAULT_SLACK_NS);
  }
}

export function hasTag(pid: number, tag: number): boolean {
  return tagOf(pid) === tag;
}

function tagOf(pid: number): number {
  return Number(readProc(`/proc/${pid}/timerslack_ns`)) - DEFAULT_SLACK_NS;
}

/** `false` where the kernel does not allow it; daemons of a command are then found by parentage alone. */
function setSlack(slackNs: number): boolean {
  try {
    writeFileSync("/proc/self/timerslack_ns", String(slackNs));
    return true;
  } catch {
    return false;
  }
}
