import { expect, test } from "vitest";
import { MAX_TUNNEL_OFFERS, MAX_TUNNELS, MAX_TUNNELS_PER_VM } from "../../../src/http/limits.ts";
import { Tunnels } from "../../../src/http/tunnels/tunnels.ts";

const tunnel = () => ({ end: () => undefined });
const open = async () => {
  throw new Error("not reached");
};
const code = (run: () => unknown) => {
  try {
    run();
    return undefined;
  } catch (error) {
    return (error as { metadata: { limit?: unknown } }).metadata.limit ?? (error as { code: string }).code;
  }
};

test("counts tunnels of each VM and of the server, and remembers nothing of VMs without tunnels", () => {
  const tunnels = new Tunnels();
  const ends = Array.from({ length: MAX_TUNNELS_PER_VM }, () => tunnels.add("a", tunnel()));
  expect(code(() => tunnels.add("a", tunnel()))).toBe("MAX_TUNNELS_PER_VM");
  for (let vm = 0; tunnels.tally.tunnels < MAX_TUNNELS; vm++) ends.push(tunnels.add(`vm-${vm}`, tunnel()));
  expect(code(() => tunnels.add("b", tunnel()))).toBe("MAX_TUNNELS");
  for (const end of ends) {
    end();
    end();
  }
  expect(tunnels.tally).toEqual({ vms: 0, tunnels: 0, bytes: 0 });
});

test("a service has one client, and a VM a limit of services", () => {
  const tunnels = new Tunnels();
  tunnels.add("a", tunnel());
  tunnels.add("b", tunnel());
  const withdraw = tunnels.offer("a", "web.agent-vm", 80, open);
  expect(code(() => tunnels.offer("a", "web.agent-vm", 80, open))).toBe("EADDRINUSE");
  expect(code(() => tunnels.offer("b", "web.agent-vm", 80, open))).toBeUndefined();
  expect(tunnels.offersOf("a").has("web.agent-vm")).toBe(true);
  expect(tunnels.offersOf("a").has("web.agent-v")).toBe(false);
  expect(tunnels.offersOf("c").has("web.agent-vm")).toBe(false);
  withdraw();
  withdraw();
  expect(tunnels.offersOf("a").has("web.agent-vm")).toBe(false);
  for (let port = 1; port <= MAX_TUNNEL_OFFERS; port++) tunnels.offer("a", "web.agent-vm", port, open);
  expect(code(() => tunnels.offer("a", "web.agent-vm", 999, open))).toBe("MAX_TUNNEL_OFFERS");
  expect(code(() => tunnels.offer("gone", "web.agent-vm", 1, open))).toBe("vm_destroyed");
});
