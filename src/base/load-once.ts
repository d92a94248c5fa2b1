/** Loads once for all calls. */
export interface Once<Value> {
  (): Promise<Value>;
  /** Returns the load without starting one: `undefined` before the first call and after a failure. */
  peek(): Promise<Value> | undefined;
  /** Makes the next call load again. */
  forget(): void;
}

/**
 * Caches the result of an asynchronous load. Concurrent calls share one load. After a failure the next call loads again.
 *
 * @example
 * readonly #load = loadOnce(() => this.#read());
 * await this.#load();
 */
export function loadOnce<Value>(load: () => Promise<Value>): Once<Value> {
  let loading: Promise<Value> | undefined;
  const once = () => {
    if (loading !== undefined) return loading;
    const started = load().catch((error: unknown) => {
      // A call after `forget` may have started another load.
      if (loading === started) loading = undefined;
      throw error;
    });
    loading = started;
    return started;
  };
  const forget = () => {
    loading = undefined;
  };
  return Object.assign(once, { peek: () => loading, forget });
}
