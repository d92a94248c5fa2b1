import type { IncomingMessage } from "node:http";
import { actorTypeNotFound } from "../api/errors.ts";
import type { VmChoices } from "../api/vm-input.ts";
import { type Grant, requireRight } from "./grant.ts";
import type { Route } from "./http-gate.ts";

/**
 * Makes the answer to `GET /vms/options?name=NAME`: the options that a creator of VMs of one actor name may choose.
 *
 * @param choices by the actor names of VMs
 */
export function vmChoicesRoute(choices: ReadonlyMap<string, VmChoices>): Route {
  return async (request: IncomingMessage, grant: Grant): Promise<VmChoices> => {
    requireRight(grant, { right: "any" }, { method: "options" });
    const name = new URL(request.url ?? "", "http://server").searchParams.get("name") ?? "";
    const found = choices.get(name);
    if (found === undefined) throw actorTypeNotFound(name, [...choices.keys()]);
    return found;
  };
}
