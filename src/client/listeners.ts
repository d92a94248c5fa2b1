/** Who wants to be told of one thing. */
export class Listeners<Args extends unknown[]> {
  readonly #callbacks = new Set<(...args: Args) => void>();

  /** @returns a function that takes the callback away again. */
  add(callback: (...args: Args) => void): () => void {
    this.#callbacks.add(callback);
    return () => this.#callbacks.delete(callback);
  }

  emit(...args: Args): void {
    for (const callback of [...this.#callbacks]) callback(...args);
  }
}
