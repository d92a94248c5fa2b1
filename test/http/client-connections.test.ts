// @module-tag attack
import { Socket } from "node:net";
import { expect, test } from "vitest";
import { ClientConnections } from "../../src/http/client-connections.ts";
import type { Grant } from "../../src/http/grant.ts";

/** Grant of `authorize`, which answers with the VM of the request as scope. */
const forVm = (name: string, identity: unknown = "mallory"): Grant => ({
  ...{ identity, may: ["exec"], vms: { keys: [[name]] } },
  asked: { name: "vm", key: [name] },
});

/** Admits a request that does not end. */
function admit(connections: ClientConnections, grant: Grant): Socket {
  const socket = new Socket();
  connections.count(socket, socket);
  connections.admit(socket, grant);
  return socket;
}

test("an identity of authorize has one limit for its requests to all VMs", () => {
  const connections = new ClientConnections(2);
  admit(connections, forVm("one"));
  admit(connections, forVm("two"));
  expect(() => admit(connections, forVm("three"))).toThrow("Too many connections of one client");
  admit(connections, forVm("three", "alice"));
});

test("a token and an identity of the same text are two clients", () => {
  const connections = new ClientConnections(1);
  admit(connections, forVm("one", "same"));
  admit(connections, { tokenId: "same", may: ["exec"], vms: {} });
});
