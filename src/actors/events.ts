import { event } from "rivetkit";
import type { VmEventName, VmEvents } from "../api/events.ts";

/**
 * An event's type for `conn.on`. RivetKit 2.2.1 reads the payload's type off the token itself, 2.3 off `_queueMessage`,
 * without which payloads are `unknown` there.
 */
export type EventToken<Payload> = ReturnType<typeof event<Payload>> & { readonly _queueMessage?: Payload };

export type VmEventTokens = { [Name in VmEventName]: EventToken<VmEvents[Name]> };

/** Every event of a `vm` actor, as RivetKit wants them declared. */
export const vmEvents: VmEventTokens = {
  processOutput: event(),
  processExit: event(),
  shellData: event(),
  shellExit: event(),
  fileChanged: event(),
  portOpened: event(),
  portClosed: event(),
  networkDenied: event(),
  vmBooted: event(),
  vmShutdown: event(),
  callSettled: event(),
  cronEvent: event(),
  sessionEvent: event(),
  permissionRequest: event(),
  agentCrashed: event(),
};
