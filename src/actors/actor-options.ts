import type { VmOptionsInput } from "../runtime/options.ts";
import type { OwnEvents, OwnParts, OwnQueues } from "./own-types.ts";

/**
 * Options of `vmActor()`: the options of VMs, and what the server adds to their actor. Every option has a default.
 *
 * @typeParam State type of `c.state`
 * @typeParam ConnState type of `c.conn.state`
 * @typeParam Vars type of `c.vars`
 * @typeParam Events events of the server's own
 * @typeParam Queues queues of the server's own
 * @typeParam Actions actions of the server's own
 */
export interface VmActorOptions<
  // biome-ignore-start lint/suspicious/noExplicitAny: by default the server's own parts have any type
  State = any,
  ConnState = any,
  Vars = any,
  Events extends OwnEvents = any,
  Queues extends OwnQueues = any,
  Actions = any,
  // biome-ignore-end lint/suspicious/noExplicitAny: as above
> extends VmOptionsInput,
    OwnParts<State, ConnState, Vars, Events, Queues, Actions> {}

type Nothing = Record<never, never>;

/** Options without parts that have types of their own. They spare the compiler work. */
export type PlainOptions = VmActorOptions<undefined, undefined, undefined, Nothing, Nothing, Nothing> & {
  [Name in
    | "state"
    | "createState"
    | "vars"
    | "createVars"
    | "createConnState"
    | "actions"
    | "events"
    | "queues"]?: never;
};
