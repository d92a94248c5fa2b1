/**
 * Caches the result of an asynchronous load. Concurrent calls share one load. After a failure the next call loads again.
 *
 * @example
 * readonly #load = loadOnce(() => this.#read());
 * await this.#load();
 */
export function loadOnce<Value>(load: () => Promise<Value>): () => Promise<Value> {
  let loading: Promise<Value> | undefined;
  return () => {
    loading ??= load().catch((error: unknown) => {
      loading = undefined;
      throw error;
    });
    return loading;
  };
}
