import { monitorEventLoopDelay } from "node:perf_hooks";
import { watchTurns } from "../test/support/turns.ts";

/** Times in milliseconds. */
export interface Measured {
  ms: number;
  /** Longest time between two turns of the event loop. */
  held: number;
  /** 99th percentile of the event loop's delay. */
  delay: number;
  /** Longest CPU time of the thread between two turns. Time of other processes does not count. */
  cpu: number;
}

/** Measures the time of work and the turns of the event loop during it. */
export async function measure(work: () => Promise<unknown>): Promise<Measured> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const turns = watchTurns();
  delay.enable();
  // The first sample is only taken on the second turn.
  await new Promise((resolve) => setTimeout(resolve, 20));
  delay.reset();
  const start = performance.now();
  await work();
  const ms = performance.now() - start;
  delay.disable();
  const cpu = await turns.stop();
  return { ms, held: delay.max / 1e6, delay: delay.percentile(99) / 1e6, cpu };
}
