import { AgentVmError } from "../../api/errors.ts";
import type { Report } from "../reports.ts";
import type { Store } from "./store.ts";

/**
 * Time of one operation of the storage.
 * @unit ms
 * @past The server logs that its storage is slow.
 */
const SLOW_STORAGE_MS = 1_000;

/** Wraps a store so that each of its failures is an AgentVmError `storage_failed`, and reports slow operations. */
export function codedStore(store: Store, report: Report = () => undefined): Store {
  const coded = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    const startedAt = performance.now();
    try {
      return await work();
    } catch (error) {
      throw error instanceof AgentVmError ? error : storageFailed("The VM's storage failed", error);
    } finally {
      const ms = performance.now() - startedAt;
      if (ms > SLOW_STORAGE_MS) report({ kind: "slowStorage", ms });
    }
  };
  return {
    get: (keys) => coded(() => store.get(keys)),
    put: (entries, options) => coded(() => store.put(entries, options)),
    delete: (keys) => coded(() => store.delete(keys)),
    deleteRange: (from, to, options) => coded(() => store.deleteRange(from, to, options)),
    list: (prefix, options) => coded(() => store.list(prefix, options)),
  };
}

export function storageFailed(message: string, cause: unknown): AgentVmError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new AgentVmError("storage_failed", `${message}: ${detail}`, {}, { cause });
}

export function isStorageFailed(error: unknown): error is AgentVmError {
  return error instanceof AgentVmError && error.code === "storage_failed";
}
