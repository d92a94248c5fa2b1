import { writeFileSync } from "node:fs";
import { readProc } from "./procfs.ts";

/**
 * A mark that a process hands down to all its descendants, whatever they do to their parent, session, process group,
 * environment or descriptors: the timer slack, which fork(2) and execve(2) keep (prctl(2), PR_SET_TIMERSLACK). It adds
 * nanoseconds to the default of 50 us, so no timer feels it. It finds daemons when a command's tree has to be killed;
 * a program that sets its own slack escapes that, but never its VM.
 */
const DEFAULT_SLACK_NS = 50_000;
const MAX_TAGS = 20_000;

let last = 0;
const taken = new Set<number>();

/** A tag that no living command has; give it back with `releaseTag`. */
export function acquireTag(): number {
  for (let tries = 0; tries < MAX_TAGS; tries++) {
    last = (last % MAX_TAGS) + 1;
    if (taken.has(last)) continue;
    taken.add(last);
    return last;
  }
  throw new Error(`${MAX_TAGS} commands are running`);
}

export function releaseTag(tag: number): void {
  taken.delete(tag);
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
  return Number(readProc(`/proc/${pid}/timerslack_ns`)) === DEFAULT_SLACK_NS + tag;
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
