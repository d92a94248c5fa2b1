import type { VmMethodName, VmMethods } from "../api/actions.ts";
import { responseTooLarge } from "../api/errors.ts";
import { MAX_RESULT_BYTES } from "../api/limits.ts";
import { parseArgs } from "../api/schemas.ts";
import { wireSize } from "../api/size.ts";
import type { VmActorActions, VmContext } from "./context.ts";
import { toUserError } from "./errors.ts";

type Handler<Name extends VmMethodName> = (
  c: VmContext,
  ...args: Parameters<VmMethods[Name]>
) => ReturnType<VmMethods[Name]>;

/**
 * An action: checks its arguments, does its work, and turns whatever goes wrong into an error that a client may see.
 * The result is measured, because one that RivetKit cannot send would hang its caller.
 */
export function action<Name extends VmMethodName>(name: Name, handler: Handler<Name>): VmActorActions[Name] {
  const run = async (c: VmContext, ...received: unknown[]): Promise<unknown> => {
    try {
      const result = await handler(c, ...parseArgs(name, received));
      const bytes = wireSize(result);
      if (bytes > MAX_RESULT_BYTES)
        throw responseTooLarge(name, bytes, MAX_RESULT_BYTES, "Ask for it in parts.");
      // RivetKit's JSON encoding has no undefined, and its client takes an answer without an output for broken.
      return result === undefined ? null : result;
    } catch (error) {
      throw toUserError(error, c.log, name);
    }
  };
  return run as VmActorActions[Name];
}
