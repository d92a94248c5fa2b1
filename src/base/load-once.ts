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
    loading ??= load().catch((error: unknown) => {
      loading = undefined;
      throw error;
    });
    return loading;
  };
  const forget = () => {
    loading = undefined;
  };
  return Object.assign(once, { peek: () => loading, forget });
}
