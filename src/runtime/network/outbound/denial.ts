import type { NetworkLogCode } from "../../../api/methods/network.ts";
import { printable } from "../../../base/printable.ts";
import type { Destination } from "./destination.ts";
import type { NetworkLog } from "./log.ts";

/** The policy denies a connection. */
export class OutboundDenied extends Error {}

/** Notes a denial. @returns the error of the connection */
export async function noteDenial(
  log: NetworkLog,
  { host, port, findPid }: Destination,
  reason: string,
  code?: NetworkLogCode,
): Promise<OutboundDenied> {
  // Look up the pid before answering: a program may exit as soon as it has the answer.
  const pid = await findPid?.();
  const more = { ...(code && { code }), ...(pid !== undefined && { pid }) };
  log.denied({ host: shownHost(host), port, reason, ...more });
  return new OutboundDenied(`${shownHost(host)}:${port} is denied: ${reason}`);
}

/** Returns a host for people. It may be a program's text. */
export function shownHost(host: string): string {
  return printable(host.slice(0, 253));
}
