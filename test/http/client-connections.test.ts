// @module-tag attack
import { EventEmitter } from "node:events";
import type { Server } from "node:http";
import { Socket } from "node:net";
import { expect, test } from "vitest";
import { ClientConnections } from "../../src/http/client-connections.ts";
import type { Grant } from "../../src/http/grant.ts";
import { Strangers } from "../../src/http/strangers.ts";

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

test("one client takes at most half of the kept descriptors, but another server can take all", () => {
  const clients = new ClientConnections(100, 8);
  for (let index = 0; index < 4; index++) admit(clients, forVm("one"));
  expect(() => admit(clients, forVm("one"))).toThrow("MAX_CONNECTIONS_PER_CLIENT = 4");
  const servers = new ClientConnections(Number.POSITIVE_INFINITY, 8);
  for (let index = 0; index < 20; index++) admit(servers, forVm("one"));
});

test("a WebSocket counts only at the server that has accepted its connection", () => {
  const server = new EventEmitter();
  const strangers = new Strangers({ total: { ALL: 9 }, perAddress: { ADDRESS: 9 }, perClient: 1 });
  strangers.watch(server as Server);
  const [forwarded, other, own, next] = [new Socket(), new Socket(), new Socket(), new Socket()];
  for (const socket of [own, next]) server.emit("connection", socket);
  for (const socket of [own, forwarded, other]) strangers.admitWebSocket({ socket }, forVm("one"));
  expect([forwarded, other, own].map(({ destroyed }) => destroyed)).toEqual([false, false, false]);
  strangers.admitWebSocket({ socket: next }, forVm("one"));
  expect([forwarded, other, own].map(({ destroyed }) => destroyed)).toEqual([false, false, true]);
});
