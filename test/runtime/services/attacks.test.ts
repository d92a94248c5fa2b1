// @module-tag any-user
// @module-tag attack
import { expect, test } from "vitest";
import { SERVICE_LOG_BYTES } from "../../../src/runtime/services/limits.ts";
import { startVm } from "../../support/vm.ts";

test("a service that floods its log keeps only the newest part, and its VM answers", async () => {
  const { vm } = startVm();
  await vm.startService({ name: "flood", command: "sh", args: ["-c", "while :; do seq 10000; done"] });
  await expect.poll(async () => (await vm.serviceLogs("flood")).truncated).toBe(true);
  const { chunks } = await vm.serviceLogs("flood");
  expect(chunks.reduce((sum, { data }) => sum + data.length, 0)).toBeLessThanOrEqual(SERVICE_LOG_BYTES);
  expect((await vm.exec("echo here")).stdout).toBe("here\n");
  await vm.stopService("flood");
});

test("a service that ignores SIGTERM, and its daemons in its session, end with stopService", {
  tags: ["slow"],
}, async () => {
  const { vm } = startVm();
  const args = ["-c", "trap '' TERM; sleep 987 & while :; do sleep 0.1; done"];
  await vm.startService({ name: "deaf", command: "sh", args });
  await vm.stopService("deaf");
  expect((await vm.exec("pgrep -f '[s]leep 987'; pgrep -f '[t]rap'")).stdout).toBe("");
});

test("a program of the VM that takes a service's port or kills it does not stop its restarts", async () => {
  const { vm, event } = startVm();
  await vm.startService({
    name: "victim",
    command: "sleep",
    args: ["60"],
    restart: "always",
    backoff: { initialMs: 100 },
  });
  await vm.exec("pkill -KILL -x sleep");
  await event("serviceChanged", ({ state, restarts }) => state === "ready" && restarts === 1);
});

const LEAVES = "sleep 986 & touch /tmp/left; ";

test("children that outlive the program of a service end with stopService", async () => {
  const { vm } = startVm();
  const args = ["-c", "trap '' TERM; sleep 985 & trap - TERM; touch /tmp/up; wait"];
  await vm.startService({ name: "parent", command: "sh", args });
  await expect.poll(() => vm.exists("/tmp/up")).toBe(true);
  await vm.stopService("parent");
  expect((await vm.exec("pgrep -f '^[s]leep 985'")).stdout).toBe("");
  await vm.startService({ name: "exits", command: "sh", args: ["-c", `${LEAVES} exit 0`] });
  await expect.poll(async () => (await vm.listServices())[1]?.state).toBe("exited");
  await vm.stopService("exits");
  expect((await vm.exec("pgrep -f '^[s]leep 986'")).stdout).toBe("");
});

test("children of a program that has failed end before the next start", async () => {
  const { vm, event } = startVm();
  const args = ["-c", `[ -e /tmp/left ] && exec sleep 60; ${LEAVES} exit 1`];
  await vm.startService({ name: "fails", command: "sh", args, backoff: { initialMs: 100 } });
  await event("serviceChanged", ({ state, restarts }) => state === "ready" && restarts === 1);
  expect((await vm.exec("pgrep -f '^[s]leep 986'")).stdout).toBe("");
});
