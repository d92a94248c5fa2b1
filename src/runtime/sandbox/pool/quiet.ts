import { setImmediate, setTimeout } from "node:timers/promises";

const PROBE_MS = 10;

/** An event loop that runs a timer this much later than it should has other work to do. */
const MAX_LATE_MS = 10;

/**
 * Finds out whether the event loop has little to do. Takes 10 ms.
 *
 * @throws the signal's reason
 */
export async function isQuiet(signal: AbortSignal): Promise<boolean> {
  const due = performance.now() + PROBE_MS;
  await setTimeout(PROBE_MS, undefined, { signal, ref: false });
  // An immediate that is not referenced would wait for the next event.
  await setImmediate(undefined, { signal });
  return performance.now() - due < MAX_LATE_MS;
}
