import { AgentVmError } from "../api/errors.ts";
import type { Store } from "./store.ts";

/** A store whose failures carry a code: whatever a caller of the VM was doing, it is told that storage failed. */
export function codedStore(store: Store): Store {
  const coded = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    try {
      return await work();
    } catch (error) {
      throw error instanceof AgentVmError ? error : storageFailed("The VM's storage failed", error);
    }
  };
  return {
    get: (keys) => coded(() => store.get(keys)),
    put: (entries) => coded(() => store.put(entries)),
    delete: (keys) => coded(() => store.delete(keys)),
    deleteRange: (from, to) => coded(() => store.deleteRange(from, to)),
    list: (prefix, options) => coded(() => store.list(prefix, options)),
  };
}

/** @param what was not done, e.g. `"The change was made, but could not be stored"` */
export function storageFailed(what: string, cause: unknown): AgentVmError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new AgentVmError("storage_failed", `${what}: ${detail}`, {}, { cause });
}

export function isStorageFailed(error: unknown): error is AgentVmError {
  return error instanceof AgentVmError && error.code === "storage_failed";
}
