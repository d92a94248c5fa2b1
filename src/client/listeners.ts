/** Calls a callback of the client's user. An error that it throws is told on the console and stops nothing else. */
export function callBack<Args extends unknown[]>(callback: (...args: Args) => void, ...args: Args): void {
  try {
    callback(...args);
  } catch (error) {
    console.error("A callback of agent-vm's client has thrown:", error);
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
