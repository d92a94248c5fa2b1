import type { PlainOptions, VmActorOptions } from "./actor-options.ts";
import { defineVm } from "./define-vm.ts";
import type { OwnActions, OwnEvents, OwnQueues, VmOwnContext } from "./own-types.ts";
import type { VmActor } from "./vm-actor.ts";

/**
 * Makes an actor with a Linux VM for each key. A VM boots with its first action. It sleeps when no process, shell,
 * connection or call uses it. It ends with its actor.
 *
 * @param options options of every VM of this actor, and actions, events, state and hooks of the server's own. @default {}
 * @throws AgentVmError `invalid_argument`, which names an unknown or malformed option, or a name that is reserved
 * @example
 * ```ts
 * const vm = vmActor({
 *   env: { CI: "1" },
 *   state: { builds: 0 },
 *   actions: {
 *     async build(c, target: string) {
 *       c.state.builds += 1;
 *       return (await c.vm.exec(`make ${target}`)).exitCode;
 *     },
 *   },
 * });
 * export const registry = setup({ use: { vm } });
 * registry.start();
 * ```
 */
export function vmActor(options?: PlainOptions): VmActor;
/** Makes an actor with a Linux VM for each key, and with actions, events, queues or state of the server's own. */
export function vmActor<
  State = undefined,
  ConnState = undefined,
  Vars = undefined,
  Events extends OwnEvents = Record<never, never>,
  Queues extends OwnQueues = Record<never, never>,
  Actions extends OwnActions<VmOwnContext<State, ConnState, Vars, Events, Queues>> = Record<never, never>,
>(
  options: VmActorOptions<State, ConnState, Vars, Events, Queues, Actions>,
): VmActor<NoInfer<Actions>, NoInfer<Events>, NoInfer<Queues>>;
export function vmActor(options: VmActorOptions = {}): VmActor {
  return defineVm(options);
}
