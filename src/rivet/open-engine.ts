import { setTimeout as delay } from "node:timers/promises";

/**
 * Time for the engine to answer.
 * @unit ms
 */
const ANSWER_TIMEOUT_MS = 5_000;

/** Pause before the next question to an engine that has not answered. */
const RETRY_MS = 5_000;

/**
 * Finds out whether a Rivet Engine lets anybody list, read and delete actors: whether its API answers a request without a
 * token. Waits until the engine answers, and does not keep the process alive.
 *
 * @param endpoint its URL, which may have a namespace and a token
 */
export async function isEngineOpen(endpoint: string, namespace = "default"): Promise<boolean> {
  const url = new URL(endpoint);
  const named = url.username === "" ? namespace : decodeURIComponent(url.username);
  url.username = "";
  url.password = "";
  const query = new URLSearchParams({ namespace: named, name: "vm", limit: "1" });
  const question = `${url.href.replace(/\/+$/, "")}/actors?${query}`;
  for (;;) {
    try {
      const response = await fetch(question, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
      await response.arrayBuffer();
      // An engine that starts answers with 5xx.
      if (response.status < 500) return response.ok;
    } catch {
      // It does not listen yet.
    }
    await delay(RETRY_MS, undefined, { ref: false });
  }
}
