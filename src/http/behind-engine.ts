import { derivedKey } from "../base/derived-key.ts";
import { isEngineOpen } from "../rivet/open-engine.ts";
import { errorOf } from "../rivet/user-error.ts";
import type { Logger } from "./logger.ts";

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
