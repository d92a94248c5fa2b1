import { expect, test } from "vitest";
import { startOwnServer } from "../support/own-server.ts";
import { ask, open, withScripted } from "../support/scripted.ts";

test("a VM sleeps with a session that is idle, never under a prompt, and the session goes on when it wakes", async () => {
  const { client } = await startOwnServer({ ...withScripted, sleepTimeoutMs: 300 });
  const vm = client.vm.getOrCreate("sleeper");
  const bootId = () => vm.exec("stat -c %Z /proc/1").then(({ stdout }) => stdout);
  const before = await bootId();
  const id = await open(vm, "load");
  // Longer than it takes to fall asleep, with nobody connected.
  const turn = ask(vm, id, "later 1200 x; await /workspace/go; pid");
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await vm.writeFile("/workspace/go", "");
  const pid = await turn;
  expect(await bootId()).toBe(before);
  await expect.poll(bootId, { interval: 1500, timeout: 20_000 }).not.toBe(before);
  expect(await vm.listSessions()).toMatchObject([{ sessionId: id }]);
  expect(await vm.getSession(id)).toMatchObject({ status: "dormant", pid: null });
  expect(await ask(vm, id, "origin")).toBe("load");
  expect(pid).toMatch(/^\d+$/);
});
