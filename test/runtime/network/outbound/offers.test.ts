import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import type { OutboundPolicy } from "../../../../src/api/methods/network.ts";
import { OutboundGate } from "../../../../src/runtime/network/outbound/gate.ts";
import { NetworkLog } from "../../../../src/runtime/network/outbound/log.ts";
import type { Offers } from "../../../../src/runtime/network/outbound/offers.ts";

/** A gate with one service, `web.agent-vm:80`. @returns the names that were looked up outside, too */
function gateWith(policy: OutboundPolicy) {
  const asked: string[] = [];
  const offers: Offers = {
    has: (host) => host === "web.agent-vm",
    async open(host, port) {
      if (host !== "web.agent-vm" || port !== 80) throw new Error("no client offers it");
      return new PassThrough() as never;
    },
  };
  const log = new NetworkLog(() => undefined);
  const resolve = async (host: string) => {
    asked.push(host);
    return ["192.0.2.1"];
  };
  const gate = new OutboundGate(policy, log, { resolve, offers });
  return { gate, asked, log };
}

const signal = new AbortController().signal;

test.for<[rule: string, found: string]>([
  ["web.agent-vm:80", "found"],
  ["web.agent-vm", "found"],
  ["*.agent-vm", "found"],
  ["*.agent-vm:80", "found"],
  ["*", "denied"],
  ["*:80", "denied"],
  ["agent-vm", "denied"],
  ["host.agent-vm:80", "denied"],
  ["other.agent-vm:80", "denied"],
])("the rule %s makes a service %s", async ([rule, found]) => {
  const { gate, asked } = gateWith({ allow: [rule] });
  expect(await gate.find("WEB.agent-vm.", signal)).toBe(found);
  const opening = gate.open({ host: "web.agent-vm", port: 80 }, signal).then(
    () => "found",
    () => "denied",
  );
  expect(await opening).toBe(found);
  expect(asked).toEqual([]);
});

test("no name below agent-vm is looked up outside, and none of them is the server's machine", async () => {
  const { gate, asked } = gateWith({ allow: ["*.agent-vm", "host.agent-vm:80"] });
  for (const name of ["missing.agent-vm", "a.b.agent-vm", "agent-vm"]) {
    expect(["absent", "denied"]).toContain(await gate.find(name, signal));
    await expect(gate.open({ host: name, port: 80 }, signal)).rejects.toThrow();
  }
  expect(asked).toEqual([]);
});

test("`all`, `none` and a denied name open no service", async () => {
  for (const policy of ["all", "none", { allow: ["*.agent-vm"], deny: ["web.agent-vm"] }] as const) {
    const { gate, log } = gateWith(
      typeof policy === "string" ? policy : { allow: [...policy.allow], deny: [...policy.deny] },
    );
    await expect(gate.open({ host: "web.agent-vm", port: 80 }, signal)).rejects.toThrow("denied");
    expect(log.entries).toMatchObject([{ host: "web.agent-vm", port: 80 }]);
  }
});

test("a policy that changes cuts the connections of a service that it does not name any more", async () => {
  const { gate } = gateWith({ allow: ["web.agent-vm:80"] });
  const socket = await gate.open({ host: "web.agent-vm", port: 80 }, signal);
  gate.change({ allow: ["web.agent-vm:80", "x.example"] });
  expect(socket.destroyed).toBe(false);
  gate.change({ allow: ["*"] });
  expect(socket.destroyed).toBe(true);
});
