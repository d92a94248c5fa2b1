import { writeFileSync } from "node:fs";
import { limitExceeded } from "../../../../api/errors.ts";
import { descendants, readProc } from "./procfs.ts";

/**
 * Default timer slack. Each command gets a tag: some nanoseconds more, too few to matter for a timer. All descendants
 * inherit the slack through fork(2) and execve(2) (PR_SET_TIMERSLACK in prctl(2)), even if they change their parent,
 * session, process group, environment or descriptors. So the server finds daemons when it kills a command's tree. A
 * program that sets its own slack escapes this kill, but never its VM.
 */
const DEFAULT_SLACK_NS = 50_000;

/**
 * Running commands and shells of one VM.
 * @unit commands
 * @past The next command fails.
 * @code limit_exceeded
 */
const MAX_TAGS = 20_000;

/** The tags of one VM. */
export class Tags {
  readonly #initPid: number;
  readonly #count: number;
  #last = 0;
  /** Times that the counter has wrapped. */
  #laps = 0;
  /** Tags of running commands. */
  readonly #taken = new Set<number>();
  /** Tags that daemons still carried when the counter last wrapped. Not used until it wraps again. */
  #inherited = new Set<number>();

  constructor(initPid: number, count = MAX_TAGS) {
    this.#initPid = initPid;
    this.#count = count;
  }

  /** Takes a tag that no living process of the VM has. The caller releases it after the command's end. */
  acquire(): number {
    for (let tries = 0; tries < this.#count; tries++) {
      if (this.#last === this.#count) {
        this.#last = 0;
        this.#laps++;
        this.#inherited = new Set(descendants(this.#initPid).map(tagOf));
      }
      this.#last++;
      if (this.#taken.has(this.#last) || this.#inherited.has(this.#last)) continue;
      this.#taken.add(this.#last);
      return this.#last;
    }
    throw limitExceeded({ MAX_TAGS: this.#count }, "Command limit of the VM reached", "End a command first.");
  }

  /** @returns a function that says whether the tag still marks the processes that its command has left */
  release(tag: number): () => boolean {
    this.#taken.delete(tag);
    const lap = this.#laps;
    return () => this.#laps === lap || (this.#laps === lap + 1 && this.#last < tag);
  }
}

/** Runs `start`, which forks on this thread, so that the child gets the tag. */
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

/** Sets the server's own slack. @returns `false` if the kernel forbids it: then daemons have no tag */
function setSlack(slackNs: number): boolean {
  try {
    writeFileSync("/proc/self/timerslack_ns", String(slackNs));
    return true;
  } catch {
    return false;
  }
}
