import type { Schedule } from "./schedule.ts";

/** A range of ticks that have all run. Both ends are included. */
export type Span = readonly [first: number, last: number];

/**
 * Ranges of executed ticks that a job remembers if the clock keeps jumping.
 * @unit spans
 * @past The two oldest ranges become one. Ticks between them do not run.
 */
const MAX_SPANS = 8;

/**
 * Adds a tick that has run. If the clock jumps ahead, fires ticks there and is set back, the ticks in between must still
 * run, and the fired ticks must not run again. Without jumps there is one span, which grows.
 */
export function withTick(spans: readonly Span[], tick: number, schedule: Schedule): Span[] {
  const before = spans.findLast(([first]) => first <= tick);
  const others = spans.filter((span) => span !== before);
  let grown: Span[];
  if (before !== undefined && tick <= before[1]) return [...spans];
  if (before !== undefined && schedule.next(before[1]) === tick) grown = [[before[0], tick]];
  else grown = before === undefined ? [[tick, tick]] : [before, [tick, tick]];
  const all = [...others, ...grown].sort((a, b) => a[0] - b[0]);
  while (all.length > MAX_SPANS) mergeOldest(all);
  return all;
}

/** Joins the two oldest spans: it is better to leave a tick out than to run a tick twice. */
function mergeOldest(spans: Span[]): void {
  const [oldest, second] = spans as [Span, Span];
  spans.splice(0, 2, [oldest[0], second[1]]);
}

export function hasRun(spans: readonly Span[], tick: number): boolean {
  return spans.some(([first, last]) => first <= tick && tick <= last);
}

/** The first tick after a time that has not run. */
export function nextOpen(schedule: Schedule, spans: readonly Span[], after: number): number | undefined {
  let tick = schedule.next(after);
  for (const [first, last] of spans) {
    if (tick !== undefined && first <= tick && tick <= last) tick = schedule.next(last);
  }
  return tick;
}
