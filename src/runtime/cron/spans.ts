import type { Schedule } from "./schedule.ts";

/** Ticks from the first to the second, both included, all of which have been run. */
export type Span = readonly [first: number, last: number];

/** Spans that a job remembers; more of them come only from a clock that keeps jumping. */
const MAX_SPANS = 8;

/**
 * Which ticks have had their run. The clock may jump ahead, run some ticks there, and come back: what lies between is
 * then still to come, and what has run must not run again. Without jumps there is one span, which grows.
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

/** Rather leaves a tick out than runs one twice. */
function mergeOldest(spans: Span[]): void {
  const [oldest, second] = spans as [Span, Span];
  spans.splice(0, 2, [oldest[0], second[1]]);
}

export function hasRun(spans: readonly Span[], tick: number): boolean {
  return spans.some(([first, last]) => first <= tick && tick <= last);
}

/** The first tick after a time that has not had its run. */
export function nextOpen(schedule: Schedule, spans: readonly Span[], after: number): number | undefined {
  let tick = schedule.next(after);
  for (const [first, last] of spans) {
    if (tick !== undefined && first <= tick && tick <= last) tick = schedule.next(last);
  }
  return tick;
}
