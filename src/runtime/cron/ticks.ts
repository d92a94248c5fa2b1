import { createHash } from "node:crypto";
import type { CronCatchUp } from "../../api/methods/cron-types.ts";
import { MAX_CRON_CATCH_UP } from "./limits.ts";
import type { Schedule } from "./schedule.ts";
import { hasRun, nextOpen, type Span } from "./spans.ts";

/**
 * Lateness after which a tick counts as missed if the server did not run at its time.
 * @unit ms
 * @past `catchUp` decides.
 */
const MISSED_AFTER_MS = 1_000;

/**
 * Lateness after which a tick counts as missed if the server ran at its time.
 * @unit ms
 * @past `catchUp` decides.
 */
const SLOW_AFTER_MS = 10_000;

/** The part of a job that decides on its ticks. */
export interface TickSource {
  id: string;
  schedule: Schedule;
  catchUp: CronCatchUp;
  jitterMs: number;
  /** All ticks up to this time have been considered, in Unix milliseconds. */
  cursor: number;
  spans: readonly Span[];
}

/** The time, and the time since which this process fires ticks, in Unix milliseconds. */
interface ClockState {
  now: number;
  aliveSince: number;
}

/** Decision on the due ticks. */
interface DueTicks {
  cursor: number;
  /** Run now, under the job's overlap policy. */
  fire: number[];
  /** Run one after the other, for `catchUp: "all"`. */
  catchUp: number[];
  /** Do not run, oldest first; at most MAX_CRON_CATCH_UP. */
  missed: number[];
}

/** Decides on all ticks since the cursor. */
export function dueTicks(source: TickSource, at: ClockState): DueTicks {
  const { schedule, cursor, spans } = source;
  // The clock was set back. The spans have the ticks that ran; the other ticks fire at their time.
  if (at.now <= cursor) return { cursor: Math.min(cursor, at.now), fire: [], catchUp: [], missed: [] };
  const ticks = schedule.newest(MAX_CRON_CATCH_UP, cursor, at.now).filter((tick) => !hasRun(spans, tick));
  const last = ticks.at(-1);
  let until = at.now;
  if (last !== undefined && dueAt(source, last) > at.now) {
    // Jitter never passes the next tick, so only the last tick may have to wait.
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
    // All in one queue, so that none is skipped because another one runs.
    return { fire: [], catchUp: [...late, ...onTime], missed: [] };
  }
  if (policy === "none") return { fire: onTime, catchUp: [], missed: late };
  // One run for all of them, even if the last one is on time.
  const ticks = [...late, ...onTime];
  return { fire: ticks.slice(-1), catchUp: [], missed: ticks.slice(0, -1) };
}

function isOnTime(source: TickSource, tick: number, { now, aliveSince }: ClockState): boolean {
  return now - dueAt(source, tick) <= (tick >= aliveSince ? SLOW_AFTER_MS : MISSED_AFTER_MS);
}

/** When the next tick must be considered. `undefined` if no tick follows. */
export function nextDue(source: TickSource): number | undefined {
  const tick = nextOpen(source.schedule, source.spans, source.cursor);
  return tick === undefined ? undefined : dueAt(source, tick);
}

/** A tick plus its jitter, which is derived from the job and the tick. */
function dueAt({ id, schedule, jitterMs }: TickSource, tick: number): number {
  if (jitterMs === 0) return tick;
  const gap = (schedule.next(tick) ?? Number.POSITIVE_INFINITY) - tick;
  const fraction = createHash("sha1").update(`${id} ${tick}`).digest().readUInt32BE() / 2 ** 32;
  return tick + Math.floor(fraction * Math.min(jitterMs, gap));
}
