import { setTimeout as delay } from "node:timers/promises";

/**
 * Time for the engine to answer.
 * @unit ms
 */
const ANSWER_TIMEOUT_MS = 5_000;

/** Pause before the next question to an engine that has not answered. */
const RETRY_MS = 5_000;

/** Time for an engine to start, in milliseconds. */
const MAX_WAIT_MS = 3_600_000;

/**
 * Finds out whether a Rivet Engine lets anybody list, read and delete actors: whether its API answers a request without a
 * token. Waits until the engine answers, and does not keep the process alive.
 *
 * For the engine of RivetKit 2.2, whose API is open without `RIVET__AUTH__ADMIN_TOKEN`.
 *
 * @param endpoint its URL, which may have a namespace and a token
 * @param waitMs longest wait, in milliseconds. @default an hour
 * @returns `undefined` if the engine has not answered within that time
 */
export async function isEngineOpen(
  endpoint: string,
  { namespace = "default", waitMs = MAX_WAIT_MS }: { namespace?: string | undefined; waitMs?: number } = {},
): Promise<boolean | undefined> {
  const url = new URL(endpoint);
  const named = url.username === "" ? namespace : decodeURIComponent(url.username);
  url.username = "";
  url.password = "";
  const query = new URLSearchParams({ namespace: named, name: "vm", limit: "1" });
  const question = `${url.href.replace(/\/+$/, "")}/actors?${query}`;
  const end = performance.now() + waitMs;
  for (let left = waitMs; left > 0; left = end - performance.now()) {
    try {
      const signal = AbortSignal.timeout(Math.min(ANSWER_TIMEOUT_MS, Math.ceil(left)));
      const response = await fetch(question, { signal });
      await response.arrayBuffer();
      // An engine that starts answers with 5xx.
      if (response.status < 500) return response.ok;
    } catch {
      // It does not listen yet.
    }
    await delay(Math.min(RETRY_MS, Math.max(end - performance.now(), 0)), undefined, { ref: false });
  }
  return undefined;
}
