// @module-tag any-user
import { expect, test } from "vitest";
import { startVm } from "../../support/vm.ts";

test("the time of its start tells a process from another process at its pid", async () => {
  const { vm } = startVm();
  const { pid, startedAt } = await vm.startRun("echo up; sleep 1000", null);
  expect((await vm.getProcess(pid)).startedAt).toBe(startedAt);
  const gone = { code: "process_not_found", metadata: { pid } };
  for (const other of [startedAt - 1, startedAt + 1]) {
    await expect(vm.followProcess(pid, { startedAt: other })).rejects.toMatchObject(gone);
    await expect(vm.stopProcess(pid, { startedAt: other })).rejects.toMatchObject(gone);
    await expect(vm.killProcess(pid, { startedAt: other, tree: true })).rejects.toMatchObject(gone);
    await expect(vm.signalProcess(pid, "SIGKILL", { startedAt: other })).rejects.toMatchObject(gone);
    await expect(vm.writeProcessStdin(pid, "x", { startedAt: other })).rejects.toMatchObject(gone);
    await expect(vm.closeProcessStdin(pid, { startedAt: other })).rejects.toMatchObject(gone);
    await expect(vm.waitProcess(pid, { startedAt: other })).rejects.toMatchObject(gone);
    await expect(vm.readProcessOutput(pid, { startedAt: other })).rejects.toMatchObject(gone);
  }
  expect(await vm.followProcess(pid, { startedAt })).toMatchObject({ end: null, startedAt });
  await vm.killProcess(pid, { startedAt });
  await vm.waitProcess(pid);
  expect(await vm.followProcess(pid, { startedAt })).toMatchObject({ end: { reason: "killed" } });
});

test("spawn answers the start of its process, with which input, output and the end are its own", async () => {
  const { vm } = startVm();
  const { pid, startedAt } = await vm.spawn("cat");
  expect((await vm.getProcess(pid)).startedAt).toBe(startedAt);
  await vm.writeProcessStdin(pid, "mine", { startedAt });
  await vm.closeProcessStdin(pid, { startedAt });
  expect(await vm.waitProcess(pid, { startedAt })).toBe(0);
  const { chunks } = await vm.readProcessOutput(pid, { after: -1, startedAt });
  expect(Buffer.concat(chunks.map(({ data }) => data)).toString()).toBe("mine");
});
