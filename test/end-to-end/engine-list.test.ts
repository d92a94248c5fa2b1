// @module-tag slow
import { expect, test } from "vitest";
import { PATIENT, startEngine, startPeer } from "../support/engine.ts";

const TOKEN = "token of the servers";
const within = { interval: 250 };

test("a list behind an engine has labels and sizes of all servers' VMs, awake and asleep, and finds VMs by labels", async (context) => {
  const engine = await startEngine(context, PATIENT);
  // A server that has no place left leaves the next VM to the other.
  const first = await startPeer(engine, { env: { RIVET_TOTAL_SLOTS: "3" } });
  const { vm } = first.client({ token: TOKEN });
  const awake = vm.getOrCreate("awake");
  await expect.poll(() => awake.exec("true").then(() => true, String), within).toBe(true);
  const asleep = vm.getOrCreate("asleep");
  await asleep.setLabels({ tier: "free", place: "first" });
  await asleep.exec("head -c 3000000 /dev/urandom > /workspace/large");
  await asleep.sleep();
  const never = await vm.getOrCreate("never-booted", { createWithInput: { labels: { tier: "free" } } });
  await never.exists("/");
  const second = await startPeer(engine);
  const other = second.client({ token: TOKEN }).vm.getOrCreate("other");
  await other.setLabels({ tier: "pro", place: "second" });
  await other.exec("head -c 2000000 /dev/urandom > /workspace/large");

  const front = await startPeer(engine, { vms: false });
  const client = front.client({ token: TOKEN });
  const found = async (query: Parameters<typeof client.vm.list>[0]) =>
    Object.fromEntries((await client.vm.list(query)).vms.map((each) => [each.key.join("/"), each]));
  const all = await found({});
  expect(Object.keys(all).sort()).toEqual(["asleep", "awake", "never-booted", "other"]);
  expect(all.asleep).toMatchObject({ state: "sleeping", labels: { tier: "free", place: "first" } });
  expect(all.other).toMatchObject({ state: "awake", labels: { tier: "pro", place: "second" } });
  expect(all["never-booted"]?.labels).toEqual({ tier: "free" });
  expect(all.asleep?.storedBytes).toBeGreaterThan(3_000_000);
  expect(all.other?.storedBytes).toBeGreaterThan(2_000_000);
  expect(Object.keys(await found({ labels: { tier: "free" } })).sort()).toEqual(["asleep", "never-booted"]);
  expect(Object.keys(await found({ labels: { tier: "free", place: "first" } }))).toEqual(["asleep"]);
  expect(Object.keys(await found({ labels: { tier: "pro" }, state: "awake" }))).toEqual(["other"]);
  expect(await found({ labels: { tier: "none" } })).toEqual({});

  // The engine itself tells facts of VMs whose server is gone.
  await first.stop("SIGKILL");
  await expect
    .poll(async () => Object.keys(await found({ labels: { tier: "free" } })).sort(), within)
    .toEqual(["asleep", "never-booted"]);
  const { asleep: kept } = await found({ labels: { place: "first" }, state: "sleeping" });
  expect(kept?.storedBytes).toBeGreaterThan(3_000_000);
});
