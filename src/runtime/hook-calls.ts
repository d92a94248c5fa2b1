import { AgentVmError } from "../api/errors.ts";
import { deferred } from "../base/deferred.ts";

/**
 * Time that the end of a VM waits for `onVmStop`, whatever `hookTimeoutMs` is.
 * @unit ms
 * @past The VM ends.
 */
export const MAX_STOP_HOOK_MS = 10_000;

/**
 * Runs a hook of the server's own code and waits for it until its time is over. The hook itself then goes on.
 *
 * @param name name of the hook, for the error
 * @throws AgentVmError `hook_failed`, whose `cause` is the hook's error. An AgentVmError of the hook passes as it is
 */
export async function runHook<Result>(
  name: string,
  timeoutMs: number,
  hook: () => Promise<Result> | Result,
): Promise<Result> {
  const { promise: late, reject } = deferred<never>();
  const tooLate = new AgentVmError("hook_failed", `The hook ${name} has not ended within ${timeoutMs} ms`, {
    hook: name,
  });
  const timer = setTimeout(() => reject(tooLate), timeoutMs);
  try {
    return await Promise.race([(async () => await hook())(), late]);
  } catch (error) {
    if (error instanceof AgentVmError) throw error;
    // The text of the error is for the server's log only.
    throw new AgentVmError("hook_failed", `The hook ${name} has failed`, { hook: name }, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}
