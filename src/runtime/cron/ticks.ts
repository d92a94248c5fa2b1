import { createHash } from "node:crypto";
import { MAX_CRON_CATCH_UP } from "../../api/limits.ts";
import type { CronCatchUp } from "../../api/types.ts";
import type { Schedule } from "./schedule.ts";
import { hasRun, nextOpen, type Span } from "./spans.ts";

/** A tick that is later than this was missed, where this process did not run yet when it came, in milliseconds. */
const MISSED_AFTER_MS = 1_000;

/** The same where this process ran and was only slow, in milliseconds. */
const SLOW_AFTER_MS = 10_000;

/** What decides on a job's ticks. */
export interface TickSource {
  id: string;
  schedule: Schedule;
  catchUp: CronCatchUp;
  jitterMs: number;
  /** Every tick up to here has been considered, in Unix milliseconds. */
  cursor: number;
  spans: readonly Span[];
}

/** The time, and since when this process has been there to see it, in Unix milliseconds. */
export interface Now {
  now: number;
  aliveSince: number;
}

/** What becomes of the ticks that have come due. */
export interface DueTicks {
  cursor: number;
  /** To be run now, under the job's overlap policy. */
  fire: number[];
  /** Promised by `catchUp: "all"`: to be run one after the other. */
  catchUp: number[];
  /** Not to be run, oldest first; at most MAX_CRON_CATCH_UP of them. */
  missed: number[];
}

/** Decides on all ticks since the last time. */
export function dueTicks(source: TickSource, at: Now): DueTicks {
  const { schedule, cursor, spans } = source;
  // A clock that was set back: what has run is in the spans, the rest comes when its time comes.
  if (at.now <= cursor) return { cursor: Math.min(cursor, at.now), fire: [], catchUp: [], missed: [] };
  const ticks = schedule.newest(MAX_CRON_CATCH_UP, cursor, at.now).filter((tick) => !hasRun(spans, tick));
  const last = ticks.at(-1);
  let until = at.now;
  if (last !== undefined && dueAt(source, last) > at.now) {
    // Jitter never passes the next tick, so that only the last one can still have to wait.
    ticks.pop();
    until = last - 1;
  }
  const firstOnTime = ticks.findIndex((tick) => isOnTime(source, tick, at));
  const split = firstOnTime === -1 ? ticks.length : firstOnTime;
  return { cursor: until, ...decide(source.catchUp, ticks.slice(0, split), ticks.slice(split)) };
}

function decide(policy: CronCatchUp, late: number[], onTime: number[]): Omit<DueTicks, "cursor"> {
  if (late.length === 0) return { fire: onTime, catchUp: [], missed: [] };
  if (policy === "all") {
    // All in one line: none of them may meet another one and be skipped.
    return { fire: [], catchUp: [...late, ...onTime], missed: [] };
  }
  if (policy === "none") return { fire: onTime, catchUp: [], missed: late };
  // One run for all of them, also where the last one is on time.
  const ticks = [...late, ...onTime];
  return { fire: ticks.slice(-1), catchUp: [], missed: ticks.slice(0, -1) };
}

function isOnTime(source: TickSource, tick: number, { now, aliveSince }: Now): boolean {
  return now - dueAt(source, tick) <= (tick >= aliveSince ? SLOW_AFTER_MS : MISSED_AFTER_MS);
}

/** When the next tick is to be considered; `undefined` when none will come. */
export function nextDue(source: TickSource): number | undefined {
  const tick = nextOpen(source.schedule, source.spans, source.cursor);
  return tick === undefined ? undefined : dueAt(source, tick);
}

/** A tick and its jitter, which is the same whenever it is asked for. */
function dueAt({ id, schedule, jitterMs }: TickSource, tick: number): number {
  if (jitterMs === 0) return tick;
  const gap = (schedule.next(tick) ?? Number.POSITIVE_INFINITY) - tick;
  const fraction = createHash("sha1").update(`${id} ${tick}`).digest().readUInt32BE() / 2 ** 32;
  return tick + Math.floor(fraction * Math.min(jitterMs, gap));
}
