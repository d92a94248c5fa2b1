import type { VmMethods } from "../api/methods/table.ts";
import type { AccessControl } from "../http/access-control.ts";
import type { Grant } from "../http/grant.ts";
import type { VmEventTokens } from "../rivet/event-tokens.ts";
import type { ActorLog } from "../rivet/log.ts";
import type { ActionContext } from "../rivet/rivetkit.ts";
import type { HostVm } from "../runtime/host-functions/types.ts";
import type { OwnOptions } from "../runtime/own-options.ts";
import type { EndedCalls } from "./calls.ts";
import type { ForkTicket } from "./fork-ticket.ts";
import type { VmInstance } from "./instance.ts";
import type { AnyParts } from "./own-parts.ts";
import type { VmConnectionParams, WithContext } from "./vm-actor.ts";

/** A value of the server's own code, which may be `undefined`. */
interface OwnValue {
  value: unknown;
}

/** State of a connection: the rights of its client. */
export interface VmConnectionState extends Grant {
  /** State that the server's own code keeps with the connection; absent for the connection of a preview. */
  user?: OwnValue;
  /** The client reads JSON. */
  isJson?: true;
  /** Name of the outlet of the connection's messages, or of the answer to the request. */
  outlet?: string | undefined;
}

/** State that RivetKit stores for an actor. The actor's key-value storage has everything else of the VM. */
export interface VmState {
  /** Pending alarms, in Unix milliseconds. */
  alarms: number[];
  /** Source of the VM's files, while `fork()` makes the VM. */
  fork?: ForkTicket;
  /** Calls of the last instance, if it has ended in order behind a Rivet Engine. */
  ended?: EndedCalls;
  /** Options that the creator of the VM has chosen. */
  own?: OwnOptions;
  /** State that the server's own code keeps with the VM. */
  user?: OwnValue;
}

/** Memory of an awake actor. */
export interface VmVars {
  instance: VmInstance;
  /** Decides about the requests of the server's clients. */
  access: AccessControl;
  /** The server's secret, of which keys are derived; `undefined` behind a Rivet Engine without one. */
  secret: Uint8Array | undefined;
  /** Whether the server takes and gives bytes of the VM as HTTP bodies. */
  takesBodies: boolean;
  own: OwnVars;
}

/** Memory that the server's own code has of an awake actor. */
interface OwnVars {
  readonly parts: AnyParts;
  /** `c.log` of that code. */
  readonly log: ActorLog;
  /** `c.vars` of that code. */
  vars: unknown;
  /** `c.vm` of that code. */
  readonly host: HostVm;
  /** Ends the VM for good and deletes the actor. */
  destroy(): void;
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
