import type { OutboundRules } from "./rules.ts";
import type { Sink } from "./sink.ts";

/** An answer that allows one connection or request, under the policy of that time. */
export class Permit {
  readonly rules: OutboundRules;

  constructor(rules: OutboundRules) {
    this.rules = rules;
  }
}

/** Destination of a connection. */
export interface Destination {
  /** Host as the VM's program wrote it. */
  host: string;
  port: number;
  /** Reason to deny it whatever the policy says. */
  refusal?: string | undefined;
  /** `true` for a connection that stays open while only one side has ended it. */
  allowHalfOpen?: boolean | undefined;
  /** Receives the bytes of the connection, if nothing must read or delay them. */
  sink?: Sink | undefined;
  /** Method and path of the request, if the server reads it. */
  method?: string | undefined;
  path?: string | undefined;
  /** An answer that has allowed it already. */
  permit?: Permit | undefined;
  /** Finds the pid of the process that connects, to report it in a denial. */
  findPid?: (() => Promise<number | undefined>) | undefined;
}
