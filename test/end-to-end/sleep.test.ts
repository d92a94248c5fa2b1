import { expect, test } from "vitest";
import { startTestServer } from "../support/servers.ts";
import { quietFor } from "../support/until.ts";

test("a VM sleeps only when no process runs and no client is connected", async () => {
  const client = (await startTestServer({ kind: "kernel", vm: { sleepTimeoutMs: 300 } })).client();
  const vm = client.vm.getOrCreate("sleeper");
  const bootTime = async () =>
    (await vm.exec("stat -c %Y.%Z /proc/1; cat /workspace/mark 2>/dev/null")).stdout;
  await vm.writeFile("/workspace/mark", "first boot\n");
  // A process keeps the VM awake without a connected client.
  const pid = await vm.spawnProcess("sh", ["-c", "until [ -e /tmp/go ]; do sleep 0.1; done"]);
  expect(await bootTime()).toContain("first boot");
  await quietFor(1000);
  expect((await vm.getProcess(pid)).running).toBe(true);
  await vm.writeFile("/tmp/go", "");
  expect(await vm.waitProcess(pid)).toBe(0);
  // Then the VM sleeps, and the next action boots it again with the same files.
  const bootId = () => vm.exec("stat -c %Z /proc/1").then(({ stdout }) => stdout);
  const before = await bootId();
  await expect.poll(bootId, { interval: 1500 }).not.toBe(before);
  expect((await vm.exec("cat /workspace/mark")).stdout).toBe("first boot\n");
  expect(await vm.listProcesses()).toMatchObject([{ pid, running: false, exitCode: 0, reason: "exit" }]);
  expect(await vm.waitProcess(pid)).toBe(0);
});
