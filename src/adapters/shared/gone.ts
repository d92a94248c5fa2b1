import { AgentVmError } from "../../api/errors.ts";

/** Returns whether a call failed because its VM does not exist. */
export function isGone(error: unknown): boolean {
  return error instanceof AgentVmError && ["actor_not_found", "vm_destroyed"].includes(error.code);
}

/** Waits for a call on a VM that may have been deleted. */
export async function unlessGone(call: Promise<void>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}
