import { AgentVmError } from "../../api/errors.ts";
import { MAX_READ_FILE_BYTES } from "../../api/limits.ts";
import type { FileSystem } from "../sandbox/files.ts";
import type { ResultBudget } from "./result-budget.ts";

/** Reads a file if the result can still take it; a file that is too large is not read at all. */
export async function readWithin(fs: FileSystem, path: string, budget: ResultBudget): Promise<Uint8Array> {
  const maximum = Math.min(budget.left, MAX_READ_FILE_BYTES);
  try {
    const data = await fs.readFile(path, maximum);
    budget.addBytes(data.length);
    return data;
  } catch (error) {
    const isTooLarge = error instanceof AgentVmError && error.code === "EFBIG";
    if (!isTooLarge || budget.left >= MAX_READ_FILE_BYTES) throw error;
    throw budget.exceeded(Number(error.metadata.bytes));
  }
}
