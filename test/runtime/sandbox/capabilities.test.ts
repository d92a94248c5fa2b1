import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { durableVm } from "../../support/durable-vm.ts";
import { startVm } from "../../support/vm.ts";

const URL_OF_REPOSITORY = new URL("../../../", import.meta.url);

/** Runs a VM and prints the URL of every module that the process loads. */
const PROGRAM = `
import { registerHooks } from "node:module";
const loaded = [];
registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });
const { vmOptionsSchema } = await import("./src/runtime/options.ts");
const { assembleVm } = await import("./src/runtime/vm.ts");
const { openShared } = await import("./src/runtime/vm-shared.ts");
const options = vmOptionsSchema.parse({ runtime: process.argv[1] });
const vm = assembleVm(openShared(options), { emit() {}, keepAwake() {} });
await vm.writeFile("/workspace/file", "text");
await vm.checkpoint().catch(() => undefined);
await vm.dispose("destroy");
console.log(JSON.stringify(loaded));
`;

async function modulesOf(runtime: string): Promise<string[]> {
  const args = ["--input-type=module", "-e", PROGRAM, runtime];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: URL_OF_REPOSITORY });
  const loaded = JSON.parse(stdout) as string[];
  return loaded.filter((url) => url.includes("/runtime/sandbox/"));
}

test("a memory VM loads no module of the kernel sandbox", async () => {
  const modules = await modulesOf("memory");
  expect(modules.some((url) => url.includes("/sandbox/memory/"))).toBe(true);
  expect(modules.filter((url) => url.includes("/sandbox/kernel/"))).toEqual([]);
});

test("a kernel VM loads no module of the memory sandbox", async () => {
  const modules = await modulesOf("kernel");
  expect(modules.some((url) => url.includes("/sandbox/kernel/"))).toBe(true);
  expect(modules.filter((url) => url.includes("/sandbox/memory/"))).toEqual([]);
});

test("not_supported names the action, the capability, the runtime and the runtime that can", async () => {
  const { vm } = startVm({ runtime: "memory" });
  const calls: [string, string, () => Promise<unknown>][] = [
    ["exec", "processes", () => vm.exec("true")],
    ["execArgv", "processes", () => vm.execArgv("true")],
    ["spawn", "processes", () => vm.spawn("true")],
    ["allProcesses", "processes", () => vm.allProcesses()],
    ["processTree", "processes", () => vm.processTree()],
    ["openShell", "terminals", () => vm.openShell()],
    ["connectTerminal", "terminals", () => vm.connectTerminal()],
    ["watchFiles", "watches", () => vm.watchFiles("/workspace")],
    ["listPorts", "network", () => vm.listPorts()],
    ["scheduleCron", "processes", () => vm.scheduleCron({ schedule: "* * * * *", action: ECHO })],
    ["createSession", "processes", () => vm.createSession("claude")],
  ];
  for (const [action, capability, call] of calls) {
    await expect(call(), action).rejects.toMatchObject({
      code: "not_supported",
      metadata: { action, capability, runtime: "memory", hint: 'Run the VM with runtime: "kernel".' },
    });
  }
});

test("a memory VM that sleeps wakes without putting files back", async () => {
  const durable = durableVm({ runtime: "memory" });
  await durable.vm().writeFile("/workspace/file", "text");
  await durable.sleep();
  const { vm, events } = durable.test();
  expect(await vm.exists("/workspace/file")).toBe(true);
  expect(events.filter(({ name }) => name === "vmBooted")).toEqual([{ name: "vmBooted", payload: {} }]);
});

const ECHO = { type: "exec", command: "echo" } as const;
