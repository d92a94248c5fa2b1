// @module-tag any-user
// @module-tag slow
// @module-tag attack
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { cgroupSupport } from "../../../../src/runtime/sandbox/kernel/processes/cgroup.ts";
import { ownDescendants } from "../../../support/host.ts";
import { living } from "../../../support/living.ts";
import { startVm } from "../../../support/vm.ts";

test("a command that removes its tag still ends with its timeout", async () => {
  const { vm } = startVm();
  const result = await vm.exec("echo 50000 > /proc/$$/timerslack_ns; sleep 1001", { timeout: 200 });
  expect(result).toMatchObject({ timedOut: true, signal: "SIGKILL" });
  const noisy = await vm.exec("echo 50000 > /proc/$$/timerslack_ns; yes", { outputLimit: "kill" });
  expect(noisy).toMatchObject({ reason: "outputLimit" });
  const left = living(await vm.allProcesses()).filter(({ command }) => ["sleep", "yes"].includes(command));
  expect(left).toEqual([]);
});

test("a command that stops its spawner still ends with its timeout, and other commands run", async () => {
  const { vm } = startVm();
  const innocent = await vm.spawnProcess("cat");
  expect(await vm.exec("kill -STOP $PPID; sleep 1001", { timeout: 200 })).toMatchObject({ timedOut: true });
  await vm.exec("kill -STOP $PPID");
  expect((await vm.exec("echo on")).stdout).toBe("on\n");
  await vm.closeProcessStdin(innocent);
  expect(await vm.waitProcess(innocent)).toBe(0);
});

const SCRIPT = `
import { vmOptionsSchema } from "./src/runtime/options.ts";
import { assembleVm } from "./src/runtime/vm.ts";
import { openShared } from "./src/runtime/vm-shared.ts";
const options = vmOptionsSchema.parse({});
const vm = assembleVm(openShared(options), { emit() {}, keepAwake() {} });
void vm.exec("kill -STOP $PPID; echo > /tmp/stopped; sleep 1001");
while (!(await vm.exists("/tmp/stopped"))) await new Promise((resolve) => setTimeout(resolve, 5));
console.log("stopped");
setInterval(() => {}, 1000);
`;

test("SIGKILL of the server ends a VM whose spawner is stopped", async () => {
  const server = spawn(process.execPath, ["--input-type=module-typescript", "-e", SCRIPT], {
    cwd: join(import.meta.dirname, "../../../.."),
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve) => server.stdout.once("data", resolve));
  const processes = ownDescendants().filter((pid) => pid !== server.pid);
  expect(processes.length).toBeGreaterThan(4);
  server.kill("SIGKILL");
  await expect.poll(() => processes.filter(isAlive)).toEqual([]);
});

function isAlive(pid: number): boolean {
  if (!existsSync(`/proc/${pid}`)) return false;
  // The host's init reaps a zombie.
  return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
}

test.runIf(cgroupSupport().create)(
  "daemons of a shell that just started are in the VM's cgroup",
  async () => {
    const { vm } = startVm();
    // The shell's end would hang up a daemon that has not left its session yet.
    const line = "setsid -f sleep 1001; until pgrep -x sleep > /dev/null; do :; done";
    const { shellId } = await vm.openShell({ command: "sh", args: ["-c", line] });
    await vm.waitShell(shellId);
    await vm.exec("setsid -f sleep 1001");
    const sleepers = () =>
      ownDescendants().filter((pid) => readFileSync(`/proc/${pid}/comm`, "utf8") === "sleep\n");
    await expect.poll(() => sleepers().length).toBe(2);
    for (const pid of sleepers())
      expect(readFileSync(`/proc/${pid}/cgroup`, "utf8")).toMatch(/agent-vm-\d+-\d+-vms\/vm-/);
  },
);

test("dispose() while the first commands start rejects them with vm_stopped", async () => {
  const cgroups = readFileSync("/proc/self/cgroup", "utf8");
  for (let round = 0; round < 20; round++) {
    const { vm } = startVm();
    await vm.boot();
    const calls = [vm.exec("sleep 1001"), vm.openShell()];
    const settled = Promise.allSettled(calls);
    // Dispose at another moment in each round.
    for (let turn = 0; turn < round; turn++) await new Promise((resolve) => setImmediate(resolve));
    await vm.dispose("destroy");
    for (const outcome of await settled) {
      if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "vm_stopped" });
    }
  }
  expect(readFileSync("/proc/self/cgroup", "utf8")).toBe(cgroups);
});
