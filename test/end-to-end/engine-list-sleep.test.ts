// @module-tag slow
import { expect, test } from "vitest";
import { PATIENT, startEngine, startPeer } from "../support/engine.ts";

test("a list behind an engine that is asked for again and again lets an idle VM fall asleep", async (context) => {
  const engine = await startEngine(context, PATIENT);
  const server = await startPeer(engine, { kind: "scripted", env: { SLEEP_TIMEOUT_MS: "3000" } });
  const front = await startPeer(engine, { vms: false });
  const there = server.client({ token: "token of the servers" });
  const here = front.client({ token: "token of the servers" });
  const vm = there.vm.getOrCreate("idle");
  await expect.poll(() => vm.exec("true").then(() => true, String), { interval: 250 }).toBe(true);
  const states: string[] = [];
  const look = async () => {
    const { vms } = await there.vm.list();
    const { vms: others } = await here.vm.list();
    const seen = [...vms, ...others].map(({ state }) => state);
    states.push(...seen);
    return seen.join(" ");
  };
  // The page of the console asks every three seconds.
  await expect.poll(look, { interval: 500, timeout: 30_000 }).toBe("sleeping sleeping");
  expect(states).toContain("awake");
  expect((await vm.exec("echo woken")).stdout).toBe("woken\n");
});
