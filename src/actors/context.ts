import type { ActionContext } from "rivetkit";
import type { VmMethods, WithContext } from "../api/actions.ts";
import type { VmEventTokens } from "./events.ts";
import type { ForkTicket } from "./fork-ticket.ts";
import type { VmInstance } from "./instance.ts";

/** What a client may say of itself when it connects. */
export type VmConnectionParams = { token?: string } | null | undefined;

/** What an actor stores itself; everything else of a VM is in its key-value storage. */
export interface VmState {
  /** Alarms that RivetKit has been asked for and that have not rung, in Unix milliseconds. */
  alarms: number[];
  /** Where the files of a VM come from that is being forked. */
  fork?: ForkTicket;
}

/** What an awake actor holds in memory. */
export interface VmVars {
  instance: VmInstance;
  /** Where clients reach the server. */
  endpoint(): string;
}

/** The context that every action of a `vm` actor gets as its first argument. */
export type VmContext = ActionContext<
  VmState,
  VmConnectionParams,
  undefined,
  VmVars,
  undefined,
  undefined,
  VmEventTokens
>;

/** Every action of a `vm` actor as RivetKit calls it. */
export type VmActorActions = WithContext<VmMethods, VmContext>;
