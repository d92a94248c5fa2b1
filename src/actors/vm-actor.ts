import type { VmMethods } from "../api/methods/table.ts";
import type { VmEventTokens } from "../rivet/event-tokens.ts";
import type { ActionContext, ActorDefinition } from "../rivet/rivetkit.ts";

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

type Context = ActionContext<
  unknown,
  VmConnectionParams,
  unknown,
  unknown,
  undefined,
  undefined,
  VmEventTokens
>;

/** A `vm` actor, as `setup({ use })` takes it. It carries the types of its actions and events to the client. */
export type VmActor = ActorDefinition<
  unknown,
  VmConnectionParams,
  unknown,
  unknown,
  undefined,
  undefined,
  VmEventTokens,
  Record<never, never>,
  WithContext<VmMethods, Context>
>;
