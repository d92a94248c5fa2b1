import type { IncomingMessage } from "node:http";
import { AgentVmError, actorTypeNotFound } from "../api/errors.ts";
import { parseInput } from "../api/methods/parse.ts";
import { VM_LIST_INPUT, type VmPage } from "../api/vm-list.ts";
import { parseJson } from "../base/json.ts";
import type { VmDirectory } from "../directory/vm-directory.ts";
import { coverOf, type Grant, requireRight } from "./grant.ts";
import type { Route } from "./http-gate.ts";

/**
 * Makes the answer to `GET /vms?name=NAME&options=JSON`: a page of the VMs of one actor name that the client reaches.
 *
 * @param directory the VMs of the server; `undefined` behind a Rivet Engine, for a server that does not know the others
 * @param names the actor names of VMs
 */
export function vmListRoute(
  directory: () => Pick<VmDirectory, "list"> | undefined,
  names: readonly string[],
): Route {
  return async (request: IncomingMessage, grant: Grant): Promise<VmPage> => {
    requireRight(grant, { right: "read" }, { method: "list" });
    const { searchParams } = new URL(request.url ?? "", "http://server");
    const name = searchParams.get("name") ?? "";
    if (!names.includes(name)) throw actorTypeNotFound(name, names);
    const [options] = parseInput("list", VM_LIST_INPUT, [parseJson(searchParams.get("options") ?? "{}")]);
    const open = directory();
    if (open === undefined)
      throw new AgentVmError("not_supported", "This server cannot list its VMs", {
        hint: "The server has not opened its data folder yet. Ask again.",
      });
    const { actors } = grant.vms;
    const covers = actors?.includes(name) === false ? () => false : coverOf(grant.vms);
    return await open.list(name, options, covers);
  };
}
