// @module-tag slow
import { expect, test } from "vitest";
import { ask, open, withScripted } from "../support/scripted.ts";
import { startTestServer } from "../support/servers.ts";
import { quietFor } from "../support/until.ts";

test("a VM sleeps with an idle session, never during a prompt, and the session continues when it wakes", async () => {
  const client = (
    await startTestServer({ kind: "kernel", vm: { ...withScripted, sleepTimeoutMs: 300 } })
  ).client();
  const vm = client.vm.getOrCreate("sleeper");
  const bootId = () => vm.exec("stat -c %Z /proc/1").then(({ stdout }) => stdout);
  const before = await bootId();
  const id = await open(vm, "load");
  // The prompt runs longer than the sleep timeout, without a connected client.
  const turn = ask(vm, id, "later 1200 x; await /workspace/go; pid");
  await quietFor(1_000);
  await vm.writeFile("/workspace/go", "");
  const pid = await turn;
  expect(await bootId()).toBe(before);
  await expect.poll(bootId, { interval: 1500 }).not.toBe(before);
  expect(await vm.listSessions()).toMatchObject([{ sessionId: id }]);
  expect(await vm.getSession(id)).toMatchObject({ status: "dormant", pid: null });
  expect(await ask(vm, id, "origin")).toBe("load");
  expect(pid).toMatch(/^\d+$/);
});
