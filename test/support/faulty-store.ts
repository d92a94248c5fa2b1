import type { Store } from "../../src/runtime/store/store.ts";

/**
 * Fault of a call to a store. `error` does nothing and fails. `lost` does its work and then fails. `part` deletes one of
 * several keys and then fails. `slow` waits first. `death` never returns, nor does any later call: the server is dead.
 */
export type Fault = "none" | "error" | "lost" | "part" | "slow" | "death";

export interface FaultyStore extends Store {
  /** Number of calls so far. */
  readonly calls: number;
  /** Resolves when a call gets the fault `death`. */
  readonly died: Promise<void>;
}

/** Wraps a store. `fault` chooses the fault of each call. */
export function faultyStore(
  store: Store,
  fault: (call: number, method: string) => Fault,
  slowMs = 10,
): FaultyStore {
  let calls = 0;
  let dead = false;
  const { promise: died, resolve } = Promise.withResolvers<void>();
  const attempt = async <Result>(
    method: string,
    work: () => Promise<Result>,
    part?: () => Promise<void>,
  ): Promise<Result> => {
    const outcome = dead ? "death" : fault(calls++, method);
    if (outcome === "death") {
      dead = true;
      resolve();
      return new Promise<never>(() => undefined);
    }
    if (outcome === "lost") await work();
    if (outcome === "part") await part?.();
    if (outcome !== "none" && outcome !== "slow") throw new Error(`${method} failed`);
    if (outcome === "slow") await new Promise((wake) => setTimeout(wake, slowMs));
    return await work();
  };
  return {
    get calls() {
      return calls;
    },
    died,
    get: (keys) => attempt("get", () => store.get(keys)),
    put: (entries) => attempt("put", () => store.put(entries)),
    delete: (keys) =>
      attempt(
        "delete",
        () => store.delete(keys),
        () => store.delete(keys.slice(0, 1)),
      ),
    deleteRange: (from, to) =>
      attempt(
        "deleteRange",
        () => store.deleteRange(from, to),
        async () => {
          const [first] = await store.list("", { limit: 1, after: before(from) });
          if (first !== undefined && first[0] >= from && first[0] < to) await store.delete([first[0]]);
        },
      ),
    list: (prefix, options) => attempt("list", () => store.list(prefix, options)),
  };
}

/** Returns a key that sorts just before `key`. */
const before = (key: string): string =>
  `${key.slice(0, -1)}${String.fromCharCode(key.charCodeAt(key.length - 1) - 1)}~`;
