import type { VmMethods } from "../api/methods/table.ts";
import type { VmEventTokens } from "../rivet/event-tokens.ts";
import type { ActorDefinition } from "../rivet/rivetkit.ts";

/*
 * The type of a VM's actor, as clients see it. It names no type of the server, because a client's program, also in a browser,
 * imports the type of a registry.
 */

/** Parameters that a client may send when it connects. */
export type VmConnectionParams = { token?: string } | null | undefined;

/** Puts the actor's context in front of each method's arguments, as RivetKit calls a handler. */
export type WithContext<Methods, Context> = {
  [Name in keyof Methods]: Methods[Name] extends (...args: infer Args) => infer Result
    ? (c: Context, ...args: Args) => Result
    : never;
};

type Tables = Record<never, never>;

/** The context of an action, which clients do not see. */
// biome-ignore lint/suspicious/noExplicitAny: a type of its own would make the compiler compare it for each action
type Context = any;

/** The server's own actions without the type of their context. */
type Projected<Actions> = {
  [Name in Extract<keyof Actions, string>]: Actions[Name] extends (
    c: Context,
    ...args: infer Args
  ) => infer Result
    ? (c: Context, ...args: Args) => Result
    : never;
};

/**
 * A `vm` actor, as `setup({ use })` takes it. It carries the types of its actions and events to the client.
 *
 * @typeParam Actions actions of the server's own, beside those of the VM
 * @typeParam Events events of the server's own
 * @typeParam Queues queues of the server's own
 */
export type VmActor<
  Actions = Tables,
  Events extends Tables = Tables,
  Queues extends Tables = Tables,
> = ActorDefinition<
  unknown,
  VmConnectionParams,
  unknown,
  unknown,
  undefined,
  undefined,
  VmEventTokens & Events,
  Queues,
  WithContext<VmMethods, Context> & Projected<Actions>
>;
