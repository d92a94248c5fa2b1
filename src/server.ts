/**
 * The ready-made server's registry. Import its type for a client; `agent-vm serve` starts it.
 *
 * @example
 * ```ts
 * import type { registry } from "agent-vm/server";
 *
 * const client = createClient<typeof registry>("http://localhost:6420");
 * ```
 * @module
 */

import "./base/check-supported.ts";

import { vmActor } from "./actors/vm.ts";
import type { VmActor } from "./actors/vm-actor.ts";
import { readEnvironment } from "./http/environment.ts";
import { setup } from "./http/setup.ts";
import { lazyRegistry } from "./rivet/registry.ts";
import type { Registry } from "./rivet/rivetkit.ts";

/**
 * Serves one actor, `vm`, with the options of the environment (see docs/configuration.md). The environment is read when
 * the registry is first used: an import alone reads, opens and starts nothing.
 *
 * @throws AgentVmError `invalid_argument` on first use, if a variable is malformed.
 */
export const registry: Registry<{
  /** A Linux VM for each key. */
  vm: VmActor;
}> = lazyRegistry(() => {
  const {
    runtime,
    pool,
    drainMs: _drainMs,
    auditFile,
    auditDetails,
    ...server
  } = readEnvironment(process.env);
  const audit = auditFile === undefined ? undefined : { file: auditFile, details: auditDetails };
  return setup({
    use: { vm: vmActor({ runtime, ...(pool !== undefined && { pool: { size: pool } }) }) },
    ...server,
    audit,
  });
});
