import type { VmMethods } from "../api/methods/table.ts";
import type { AccessControl } from "../http/access-control.ts";
import type { Grant } from "../http/grant.ts";
import type { VmEventTokens } from "../rivet/event-tokens.ts";
import type { ActionContext } from "../rivet/rivetkit.ts";
import type { OwnOptions } from "../runtime/own-options.ts";
import type { ForkTicket } from "./fork-ticket.ts";
import type { VmInstance } from "./instance.ts";
import type { VmConnectionParams, WithContext } from "./vm-actor.ts";

/** State of a connection: the rights of its client. */
export type VmConnectionState = Grant;

/** State that RivetKit stores for an actor. The actor's key-value storage has everything else of the VM. */
export interface VmState {
  /** Pending alarms, in Unix milliseconds. */
  alarms: number[];
  /** Source of the VM's files, while `fork()` makes the VM. */
  fork?: ForkTicket;
  /** Options that the creator of the VM has chosen. */
  own?: OwnOptions;
}

/** Memory of an awake actor. */
export interface VmVars {
  instance: VmInstance;
  /** Decides about the requests of the server's clients. */
  access: AccessControl;
  /** Whether the server takes and gives bytes of the VM as HTTP bodies. */
  takesBodies: boolean;
}

/** The context that every action of a `vm` actor gets as its first argument. */
export type VmContext = ActionContext<
  VmState,
  VmConnectionParams,
  VmConnectionState,
  VmVars,
  undefined,
  undefined,
  VmEventTokens
>;

/** Every action of a `vm` actor, with names and shapes as in agentOS v0.2.0-rc.3. The context is the first argument. */
// biome-ignore lint/suspicious/noExplicitAny: RivetKit's constraint on actions is an index signature of any
export type VmActions = WithContext<VmMethods, any> & {
  /** Any other name. Satisfies RivetKit's constraint on actions. */
  // biome-ignore lint/suspicious/noExplicitAny: RivetKit's constraint on actions is an index signature of any
  [action: string]: (c: any, ...args: any[]) => any;
};

/** Every action of a `vm` actor as RivetKit calls it. */
export type VmActorActions = WithContext<VmMethods, VmContext>;
