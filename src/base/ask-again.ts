import { deferred } from "./deferred.ts";

/**
 * Asks a question that begins nothing, and asks it once more, beside the first, whenever no answer comes. The first answer or error
 * counts. A Rivet Engine that has just started never answers what it receives before its servers are back, and a server that is
 * cut off never answers what the engine has sent to it.
 *
 * @param ask asks once. Its signal aborts when the wait is over
 * @param pauseMs pause before the second question, in milliseconds. Each pause is twice as long as the one before
 * @param end ends the wait
 * @throws the reason of `end`, or the error of a question
 */
export async function askAgain<Answer>(
  ask: (signal: AbortSignal) => Promise<Answer>,
  pauseMs: number,
  end: AbortSignal,
): Promise<Answer> {
  end.throwIfAborted();
  const { promise, resolve, reject } = deferred<Answer>();
  const over = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const next = (waitMs: number) => {
    ask(over.signal).then(resolve, reject);
    timer = setTimeout(next, waitMs, waitMs * 2);
  };
  const stop = () => reject(end.reason);
  end.addEventListener("abort", stop, { once: true });
  try {
    next(pauseMs);
    return await promise;
  } finally {
    clearTimeout(timer);
    end.removeEventListener("abort", stop);
    over.abort();
  }
}
