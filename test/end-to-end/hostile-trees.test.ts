// @module-tag slow
// @module-tag attack
import { expect, onTestFinished, test } from "vitest";
import type { VmHandle } from "../../src/client/index.ts";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { startServerProcess } from "../support/server-process.ts";

const VMS = 5;
const MOST_MIB = 512;

/** Most files are in one folder, and 2,000 below a chain of 600 folders with the longest names. */
const FILL = `import os
os.chdir('/workspace')
def make(count):
  for i in range(count): os.close(os.open(('f%d' % i).ljust(250, 'x'), os.O_CREAT | os.O_WRONLY))
make(58000)
d = os.open('.', os.O_RDONLY)
for i in range(600):
  os.mkdir('n' * 255, dir_fd=d); e = os.open('n' * 255, os.O_RDONLY, dir_fd=d); os.close(d); d = e
os.fchdir(d)
make(2000)`;

/** Renames every tenth file, so that a diff and a checkpoint find many changes. */
const RENAME = `import os
os.chdir('/workspace')
for i in range(0, 58000, 10): os.rename(('f%d' % i).ljust(250, 'x'), ('g%d' % i).ljust(250, 'x'))`;

test("five VMs whose trees are as large as can be, and all that reads them at once, cost the server less than 512 MiB", async () => {
  const server = await startServerProcess({ env: { AGENT_VM_RUNTIME: "kernel" } });
  onTestFinished(async () => void (await server.stop("SIGTERM")));
  const client = createClient<typeof registry>({ endpoint: server.endpoint });
  onTestFinished(() => client.dispose());
  const loopDelay = async () => {
    const text = await (await fetch(`${server.endpoint}/metrics`)).text();
    return Number(/^nodejs_eventloop_lag_max_seconds (\S+)$/m.exec(text)?.[1]) * 1000;
  };
  const vms = Array.from({ length: VMS }, (_, index) => client.vm.getOrCreate(`vm-${index}`));
  const python = async (vm: VmHandle, program: string) => {
    const ended = await vm.execArgv("python3", ["-c", program], { timeout: 600_000 });
    expect(ended).toMatchObject({ exitCode: 0, stderr: "" });
  };
  const before = server.residentMib();
  let most = before;
  const sampler = setInterval(() => {
    most = Math.max(most, server.residentMib());
  }, 20);
  onTestFinished(() => clearInterval(sampler));
  await Promise.all(vms.map((vm) => python(vm, FILL)));
  await loopDelay();
  const rows: string[] = [];
  const phase = async (name: string, work: (vm: VmHandle, index: number) => Promise<unknown>[]) => {
    most = server.residentMib();
    const outcomes = await Promise.allSettled(vms.flatMap(work));
    const refused = outcomes.flatMap((outcome) =>
      outcome.status === "rejected" ? [(outcome.reason as { code: string }).code] : [],
    );
    rows.push(
      `${name}: ${(most - before).toFixed(0)} MiB, loop ${(await loopDelay()).toFixed(0)} ms, ${refused.length} refused`,
    );
    // The server's memory is short for a while; nothing else may go wrong.
    expect(refused.filter((code) => code !== "limit_exceeded")).toEqual([]);
    expect(most - before).toBeLessThan(MOST_MIB);
  };
  const drain = async (vm: VmHandle) => {
    for await (const piece of await vm.exportTar("/")) void piece;
  };
  try {
    await phase("checkpoint", (vm) => [vm.checkpoint()]);
    await Promise.all(vms.map((vm) => python(vm, RENAME)));
    await phase("checkpoint, diff, export, fork, snapshot and watch", (vm, index) => [
      vm.checkpoint(),
      vm.diff(),
      drain(vm),
      vm.fork(`fork-${index}`),
      vm.createSnapshot(),
      vm.watchFiles("/workspace", { recursive: true }),
    ]);
  } finally {
    console.log(rows.join("\n"));
  }
  // Each VM goes on.
  for (const vm of vms) expect((await vm.exec("echo alive")).stdout).toBe("alive\n");
}, 2_400_000);
