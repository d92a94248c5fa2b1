import { expect, test } from "vitest";
import type { SerializableCronJobOptions } from "../../../src/api/methods/cron-types.ts";
import { CRON_OUTPUT_BYTES } from "../../../src/runtime/cron/limits.ts";
import { startVm } from "../../support/vm.ts";

/** Runs a job once on a real VM. */
async function runOnce(
  action: { command: string; args?: string[]; env?: Record<string, string>; cwd?: string },
  options: Partial<SerializableCronJobOptions> = {},
) {
  const { vm, event } = startVm();
  const { id } = await vm.scheduleCron({
    schedule: "@yearly",
    action: { type: "exec", ...action },
    ...options,
  });
  await vm.runCronJob(id);
  const end = await event("cronEvent", (payload) => payload.event.type !== "cron:fire");
  const [run] = await vm.listCronRuns(id);
  return { run, event: end.event };
}

test("runs a shell line with its environment and working directory", async () => {
  const { run, event } = await runOnce({
    command: "echo $GREETING; pwd; echo wrong >&2; exit 3",
    env: { GREETING: "hello" },
    cwd: "/tmp",
  });
  expect(run).toMatchObject({ status: "completed", exitCode: 3 });
  expect(run?.outputTail.split("\n").sort()).toEqual(["", "/tmp", "hello", "wrong"]);
  expect(run).not.toHaveProperty("reason");
  expect(event).toMatchObject({ type: "cron:complete", exitCode: 3 });
});

test("runs a program with verbatim arguments", async () => {
  const { run } = await runOnce({ command: "printf", args: ["%s|", "$HOME", "a b"] });
  expect(run).toMatchObject({ status: "completed", exitCode: 0, outputTail: "$HOME|a b|" });
});

test("outputTail has the end of long output in whole characters", async () => {
  const { run } = await runOnce({ command: "yes ä€ | head -c 3000000; printf '\\377'; echo; echo end" });
  const tail = run?.outputTail ?? "";
  expect(Buffer.byteLength(tail)).toBeLessThanOrEqual(CRON_OUTPUT_BYTES);
  expect(Buffer.byteLength(tail)).toBeGreaterThan(CRON_OUTPUT_BYTES - 10);
  expect(tail.endsWith("\nend\n")).toBe(true);
  expect(tail.slice(0, 100)).not.toContain("\ufffd");
});

test("a run past its timeout is killed with its whole process tree", async () => {
  const { run, event } = await runOnce({ command: "echo begun; sleep 60 & sleep 60" }, { timeoutMs: 1500 });
  expect(run).toMatchObject({ status: "timeout", exitCode: 137, reason: "timeout", outputTail: "begun\n" });
  expect(event).toMatchObject({
    type: "cron:error",
    error: "The run took longer than 1500 ms",
    reason: "timeout",
    exitCode: 137,
  });
});

test("a missing program ends with exit code 127", async () => {
  const { run } = await runOnce({ command: "no-such-program", args: [] });
  expect(run).toMatchObject({ status: "completed", exitCode: 127 });
});

test("a missing working directory fails the run with ENOENT", async () => {
  const { run, event } = await runOnce({ command: "pwd", cwd: "/no/such/place" });
  expect(run).toMatchObject({ status: "failed", reason: "ENOENT", outputTail: "" });
  expect(event).toMatchObject({ type: "cron:error", reason: "ENOENT" });
});

test("a run that is live when the VM ends is stored as failed before dispose returns", async () => {
  const { vm, event, events } = startVm();
  const { id } = await vm.scheduleCron({
    schedule: "@yearly",
    action: { type: "exec", command: "echo begun; sleep 60" },
  });
  await vm.runCronJob(id);
  await event("cronEvent");
  await vm.dispose("sleep");
  expect(events.at(-1)).toMatchObject({
    payload: { event: { type: "cron:error", reason: "vm_stopped", error: "The VM was stopped" } },
  });
  await expect(vm.listCronJobs()).rejects.toMatchObject({ code: "vm_stopped" });
});

test("a VM without processes refuses cron jobs", async () => {
  const { vm } = startVm({ runtime: "memory" });
  const action = { type: "exec", command: "ls" } as const;
  await expect(vm.scheduleCron({ schedule: "@daily", action })).rejects.toMatchObject({
    code: "not_supported",
  });
});

test("without a server the VM's own timer fires", async () => {
  const { vm, event } = startVm();
  await vm.scheduleCron({ schedule: "* * * * * *", action: { type: "exec", command: "echo tick" } });
  await event("cronEvent", ({ event: { type } }) => type === "cron:complete");
  expect((await vm.listCronRuns()).at(-1)).toMatchObject({ status: "completed", outputTail: "tick\n" });
});
