import type { Store } from "../../src/runtime/store.ts";

/**
 * What happens to a call of a store: it fails and does nothing (`error`), does what it should and then fails (`lost`),
 * deletes one of several keys and then fails (`part`), takes its time (`slow`), or never comes back, like every call
 * after it, because the server is dead.
 */
export type Fault = "none" | "error" | "lost" | "part" | "slow" | "death";

export interface FaultyStore extends Store {
  /** Calls so far. */
  readonly calls: number;
  /** Resolves when a call has met the death of its server. */
  readonly died: Promise<void>;
}

/** A store whose calls meet faults, as `fault` says call by call. */
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

/** A key that comes before `key` and after what comes before it. */
const before = (key: string): string =>
  `${key.slice(0, -1)}${String.fromCharCode(key.charCodeAt(key.length - 1) - 1)}~`;
