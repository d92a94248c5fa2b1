import { AgentVmError } from "../../api/errors.ts";

/** Waits for a call on a VM that may have been deleted. */
export async function unlessGone(call: Promise<void>): Promise<void> {
  try {
    await call;
  } catch (error) {
    const isGone = error instanceof AgentVmError && ["actor_not_found", "vm_destroyed"].includes(error.code);
    if (!isGone) throw error;
  }
}
