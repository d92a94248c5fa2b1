import { monitorEventLoopDelay } from "node:perf_hooks";

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

function watchTurns(): { stop(): Promise<number> } {
  let longest = 0;
  let running = true;
  const used = () => {
    const { user, system } = process.threadCpuUsage();
    return user + system;
  };
  let last = used();
  const turned = () => {
    const now = used();
    longest = Math.max(longest, now - last);
    last = now;
    if (running) setTimeout(turned, 0);
  };
  turned();
  return {
    async stop() {
      await new Promise((resolve) => setTimeout(resolve, 20));
      running = false;
      return longest / 1000;
    },
  };
}
