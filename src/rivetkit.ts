/**
 * RivetKit's own means to define actors beside VMs, for the registry of one server.
 *
 * @example
 * ```ts
 * import { setup, vmActor } from "agent-vm";
 * import { actor } from "agent-vm/rivetkit";
 *
 * const counter = actor({ state: { count: 0 }, actions: { add: (c, by: number) => (c.state.count += by) } });
 * export const registry = setup({ use: { vm: vmActor(), counter } });
 * ```
 * @module
 */

import "./base/check-supported.ts";

export { actor, event, queue, type Registry, UserError } from "./rivet/rivetkit.ts";
