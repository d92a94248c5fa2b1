import process from "node:process";

/** Signals that end a program. */
const END_SIGNALS: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"];

/** Calls a function with each signal that would end the program. @returns a function that ends this */
export function onSignals(received: (signal: NodeJS.Signals) => void): () => void {
  for (const signal of END_SIGNALS) process.on(signal, received);
  return () => {
    for (const signal of END_SIGNALS) process.off(signal, received);
  };
}

/** Resolves with the first signal that would end the program, or when `until` settles. */
export async function interrupted(until?: Promise<unknown>): Promise<NodeJS.Signals | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<NodeJS.Signals | undefined>();
  const stop = onSignals(resolve);
  until?.then(() => resolve(undefined), reject);
  try {
    return await promise;
  } finally {
    stop();
  }
}
