import { describe, expect, test } from "vitest";
import {
  hasNotBegun,
  isBetweenServers,
  RivetError,
  toAgentVmError,
} from "../../../src/client/rivet/errors.ts";

// Groups and codes of Rivet Engine 2.3 for a VM that moves.
describe("errors of a gateway while a VM has no server", () => {
  test.for([
    ["guard", "actor_ready_timeout", true],
    ["guard", "service_unavailable", false],
    ["guard", "request_timeout", false],
    ["ws", "closed", false],
    ["pegboard", "route_subscribe_timeout", false],
  ] as const)("%s.%s is connection_lost, and the client waits for a server", ([group, code, notBegun]) => {
    const error = toAgentVmError(new RivetError(group, code, "Try again later."));
    expect(error).toMatchObject({ code: "connection_lost", metadata: { gateway: code } });
    expect(isBetweenServers(error)).toBe(true);
    expect(hasNotBegun(error)).toBe(notBegun);
  });

  test.for([
    ["actor", "not_found", "actor_not_found", "VM not found"],
    ["user", "invalid_argument", "invalid_argument", "The server cannot read a message of this client"],
  ] as const)("a connection that the server closes with %s.%s has a message for people", (row) => {
    const [group, code, ours, message] = row;
    const error = toAgentVmError(new RivetError(group, code, `Connection closed: ${group}.${code}`));
    expect(error).toMatchObject({ code: ours, message });
  });

  test("actor.stopped is vm_stopped", () => {
    const error = toAgentVmError(new RivetError("actor", "stopped", "Connection closed: actor.stopped"));
    expect(error.code).toBe("vm_stopped");
  });
});
