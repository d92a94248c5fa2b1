// @module-tag any-user
import { expect, test } from "vitest";
import { startVm } from "../../support/vm.ts";

test("listProcesses lists running and ended processes of spawn in order, without exec", async () => {
  const { vm } = startVm();
  await vm.exec("true");
  const first = await vm.spawn("sleep", ["1000"], { cwd: "/tmp" });
  const second = await vm.spawn("sh", ["-c", "exit 5"]);
  await vm.waitProcess(second.pid);
  expect(await vm.listProcesses()).toEqual([
    {
      pid: first.pid,
      command: "sleep",
      args: ["1000"],
      running: true,
      exitCode: null,
      signal: null,
      reason: null,
      startedAt: expect.any(Number),
      exitedAt: null,
      oomKills: 0,
      waitingForInput: false,
    },
    {
      pid: second.pid,
      command: "sh",
      args: ["-c", "exit 5"],
      running: false,
      exitCode: 5,
      signal: null,
      reason: "exit",
      startedAt: expect.any(Number),
      exitedAt: expect.any(Number),
      oomKills: 0,
      waitingForInput: false,
    },
  ]);
  expect(await vm.getProcess(first.pid)).toEqual((await vm.listProcesses())[0]);
});

test("every process method refuses an unknown pid", async () => {
  const { vm } = startVm();
  const error = { code: "process_not_found", message: "Process not found: 4242", metadata: { pid: 4242 } };
  await expect(vm.getProcess(4242)).rejects.toMatchObject(error);
  await expect(vm.waitProcess(4242)).rejects.toMatchObject(error);
  await expect(vm.stopProcess(4242)).rejects.toMatchObject(error);
  await expect(vm.killProcess(4242)).rejects.toMatchObject(error);
  await expect(vm.signalProcess(4242, "SIGTERM")).rejects.toMatchObject(error);
  await expect(vm.writeProcessStdin(4242, "x")).rejects.toMatchObject(error);
  await expect(vm.closeProcessStdin(4242)).rejects.toMatchObject(error);
  await expect(vm.readProcessOutput(4242)).rejects.toMatchObject(error);
});

test("processTree lists every process under its parent", async () => {
  const { vm } = startVm();
  const { pid } = await vm.spawn("bash", ["-c", "sleep 1000 & sleep 1001 & wait"]);
  await expect
    .poll(async () => (await vm.allProcesses()).filter(({ command }) => command === "sleep").length)
    .toBe(2);
  const tree = await vm.processTree();
  const find = (nodes: typeof tree): (typeof tree)[number] | undefined =>
    nodes.find((node) => node.pid === pid) ?? nodes.map(({ children }) => find(children)).find(Boolean);
  const node = find(tree);
  expect(node).toMatchObject({ command: "bash", user: "agentos" });
  expect(node?.children.map(({ args }) => args.join(" ")).sort()).toEqual(["sleep 1000", "sleep 1001"]);
  expect(tree.find((process) => process.pid === 1)).toMatchObject({ ppid: 0 });
});
