// @module-tag slow
// @module-tag attack
import { expect, test } from "vitest";
import type { Vm } from "../../../src/runtime/vm.ts";
import { durableVm } from "../../support/durable-vm.ts";
import { failure } from "../../support/until.ts";

/** Makes files with the longest names. */
async function fill(vm: Vm, count: number): Promise<void> {
  const program = `import os
os.chdir('/workspace')
for i in range(${count}): os.close(os.open(('f%d' % i).ljust(250, 'x'), os.O_CREAT | os.O_WRONLY))`;
  expect(await vm.execArgv("python3", ["-c", program])).toMatchObject({ exitCode: 0, stderr: "" });
}

test("five VMs that fill their trees are all stored, one after the other if need be, and keep nothing from a small one", async () => {
  const machines = Array.from({ length: 5 }, () => durableVm());
  const small = durableVm();
  await small.vm().writeFile("/workspace/file", "text");
  for (const machine of machines) await fill(machine.vm(), 60_000);
  const stored = await Promise.all(machines.map((machine) => machine.vm().checkpoint()));
  for (const { files } of stored) expect(files).toBeGreaterThan(60_000);
  const results = machines.flatMap((machine) => {
    const vm = machine.vm();
    return [vm.watchFiles("/workspace", { recursive: true }), vm.diff()];
  });
  const outcomes = (await Promise.allSettled(results)).map((outcome) =>
    outcome.status === "fulfilled" ? "done" : (outcome.reason as { code: string }).code,
  );
  expect(outcomes.filter((outcome) => outcome !== "done" && outcome !== "limit_exceeded")).toEqual([]);
  expect(await small.vm().checkpoint()).toMatchObject({ unreadable: [] });
  for (const machine of machines) {
    await machine.vm().execArgv("find", ["/workspace", "-type", "f", "-delete"]);
    expect(await machine.vm().checkpoint()).toMatchObject({ unreadable: [] });
  }
}, 400_000);

test("a VM with too many files for the server's memory gets limit_exceeded, and keeps what it had", async () => {
  const machine = durableVm({ limits: { inodes: 500_000 } });
  await machine.vm().writeFile("/workspace/kept", "text");
  await machine.vm().checkpoint();
  await fill(machine.vm(), 450_000);
  const refused = { code: "limit_exceeded", metadata: { limit: "MAX_TREE_BYTES" } };
  expect(await failure(machine.vm().checkpoint())).toMatchObject(refused);
  expect(await failure(machine.vm().exportSnapshot())).toMatchObject(refused);
  expect((await machine.vm().exec("cat kept", { cwd: "/workspace" })).stdout).toBe("text");
  await machine.crash();
  expect(await machine.vm().readdir("/workspace")).toEqual(["kept"]);
}, 400_000);
