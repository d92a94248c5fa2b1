import { RequestRefused } from "../credentials/placeholders.ts";
import { OutboundDenied } from "../denial.ts";

/** Reason phrase of a denial. npm, pip and wget show it. */
export const DENIED = "Denied by the network policy of agent-vm";

/** Returns the status and the reason phrase of an answer that reports a failure. */
export function failureOf(error: unknown): [status: number, phrase: string] {
  if (error instanceof OutboundDenied) return [403, DENIED];
  return error instanceof RequestRefused ? [400, "Bad Request"] : [502, "Bad Gateway"];
}
