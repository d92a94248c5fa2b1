/**
 * Calls a callback of the client's user. An error that it throws, or with which its promise rejects, is told on the console and
 * stops nothing else.
 */
export function callBack<Args extends unknown[]>(callback: (...args: Args) => unknown, ...args: Args): void {
  const tell = (error: unknown) => console.error("A callback of agent-vm's client has thrown:", error);
  try {
    const result = callback(...args);
    if (result instanceof Promise) result.catch(tell);
  } catch (error) {
    tell(error);
  }
}

/** Callbacks of one event. */
export class Listeners<Args extends unknown[]> {
  readonly #callbacks = new Set<(...args: Args) => void>();

  /** @returns a function that removes the callback */
  add(callback: (...args: Args) => void): () => void {
    this.#callbacks.add(callback);
    return () => this.#callbacks.delete(callback);
  }

  emit(...args: Args): void {
    for (const callback of [...this.#callbacks]) callBack(callback, ...args);
  }
}
