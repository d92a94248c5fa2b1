import { EVENT_RIGHTS, type VmEventName, type VmEvents } from "../api/events.ts";
import { event } from "./rivetkit.ts";

/**
 * Type of an event's token, from which RivetKit infers the payload of `conn.on`.
 *
 * For RivetKit 2.2 and 2.3: 2.2 reads the payload's type off the token itself, 2.3 off `_queueMessage`. Without that field
 * payloads would be `unknown` in 2.3.
 */
type EventToken<Payload> = ReturnType<typeof event<Payload>> & { readonly _queueMessage?: Payload };

export type VmEventTokens = { [Name in VmEventName]: EventToken<VmEvents[Name]> };

/**
 * Declares every event of a `vm` actor to RivetKit.
 *
 * @param check throws if the connection of this context may not subscribe to an event
 */
export function vmEvents<Context>(check: (c: Context, name: VmEventName) => void): VmEventTokens {
  const names = Object.keys(EVENT_RIGHTS) as VmEventName[];
  const tokenOf = (name: VmEventName) =>
    event({
      canSubscribe(c: Context) {
        check(c, name);
        return true;
      },
    });
  return Object.fromEntries(names.map((name) => [name, tokenOf(name)])) as unknown as VmEventTokens;
}
