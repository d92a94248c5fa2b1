import { derivedKey } from "../base/derived-key.ts";
import { hasContact } from "../rivet/engine-contact.ts";
import { isEngineOpen } from "../rivet/open-engine.ts";
import { errorOf } from "../rivet/user-error.ts";
import { FRONT_CONTACT_MS } from "./limits.ts";
import type { Logger } from "./logger.ts";

/** Time for the engine to answer. */
const ANSWER_TIMEOUT_MS = 2_000;

/** Warns if the API of a Rivet Engine asks for no token. Resolves when the engine has answered. */
export async function warnOfOpenEngine(
  engine: string,
  { namespace }: { namespace?: string | undefined },
  log: Logger,
): Promise<void> {
  if (!(await isEngineOpen(engine, { namespace: namespace ?? process.env.RIVET_NAMESPACE }))) return;
  const msg =
    "The API of the Rivet Engine is open: anyone who reaches it reads and deletes every VM. Set its admin token";
  log.warn({ msg });
}

/** Returns the token of own calls that all servers with the same secret derive from it. */
export function sharedToken(secret: string): string {
  return Buffer.from(derivedKey(Buffer.from(secret), "own calls")).toString("hex");
}

/** Boots a VM as a trial. @returns `false` if the server is full */
export async function tryBoot(
  boot: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await boot(signal);
    return true;
  } catch (error) {
    if (errorOf(error).code === "server_full") return false;
    throw error;
  }
}

/** Rejects if the engine gives this server no sign of life. It may have given the server's VMs to others. */
export async function requireContact(): Promise<void> {
  if (!hasContact()) throw new Error("The Rivet Engine gives no sign of life");
}

/** Returns the check of a server without VMs, which has no connection to the engine: whether the engine has answered lately. */
export function contactOf(engine: string): () => Promise<void> {
  let answeredAt = Number.NEGATIVE_INFINITY;
  return async () => {
    try {
      const response = await fetch(`${engine}/health`, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
      await response.body?.cancel();
      if (!response.ok) throw new Error(`The Rivet Engine answers ${response.status}`);
      answeredAt = performance.now();
    } catch (error) {
      // A restart of the engine shall not take away all fronts at once.
      if (performance.now() - answeredAt > FRONT_CONTACT_MS) throw error;
    }
  };
}
