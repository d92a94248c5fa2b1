import type { Store } from "../../src/runtime/store.ts";

/** What happens to a call of a store. */
export type Fault = "none" | "error" | "death";

export interface FaultyStore extends Store {
  /** Calls so far. */
  readonly calls: number;
  /** Resolves when a call has met the death of its server. */
  readonly died: Promise<void>;
}

/** A store whose calls fail, or never come back because their server is dead, as `fault` says call by call. */
export function faultyStore(store: Store, fault: (call: number, method: string) => Fault): FaultyStore {
  let calls = 0;
  let dead = false;
  const { promise: died, resolve } = Promise.withResolvers<void>();
  const attempt = async <Result>(method: string, work: () => Promise<Result>): Promise<Result> => {
    const outcome = dead ? "death" : fault(calls++, method);
    if (outcome === "error") throw new Error(`${method} failed`);
    if (outcome === "death") {
      dead = true;
      resolve();
      return new Promise<never>(() => undefined);
    }
    return await work();
  };
  return {
    get calls() {
      return calls;
    },
    died,
    get: (keys) => attempt("get", () => store.get(keys)),
    put: (entries) => attempt("put", () => store.put(entries)),
    delete: (keys) => attempt("delete", () => store.delete(keys)),
    deleteRange: (from, to) => attempt("deleteRange", () => store.deleteRange(from, to)),
    list: (prefix, options) => attempt("list", () => store.list(prefix, options)),
  };
}
