// @module-tag slow
// @module-tag any-user
import { expect, onTestFinished, test } from "vitest";
import { createClient } from "../../../../../src/client/index.ts";
import type { registry } from "../../../../../src/server.ts";
import { AGENT_VM_PROGRAM, startServerProcess } from "../../../../support/server-process.ts";

const HARD_ZERO = ["prlimit", "--core=0:0", "--"];
const SOFT_ZERO = ["prlimit", "--core=0:", "--"];
const CORES = "grep -h '^Max core' /proc/self/limits /proc/1/limits | tr -s ' '";

/** Returns the limits of a program that the boot's spawner starts, and of init. A terminal must open too: it enters the VM later. */
async function coresBehind(command: readonly string[]): Promise<string> {
  const server = await startServerProcess({
    command: [...command, process.execPath, AGENT_VM_PROGRAM, "serve"],
    env: { AGENT_VM_RUNTIME: "kernel" },
  });
  onTestFinished(async () => void (await server.stop("SIGTERM")));
  const client = createClient<typeof registry>({ endpoint: server.endpoint });
  onTestFinished(() => client.dispose());
  const vm = client.vm.getOrCreate("one");
  const { stdout } = await vm.exec(CORES);
  const { pid } = await vm.spawn("sh", ["-c", "kill -SEGV $$"]);
  expect(await vm.waitProcess(pid)).toBe(139);
  expect(await vm.openShell()).toMatchObject({ shellId: expect.any(String) });
  return stdout;
}

test("VMs boot and run programs under a server whose hard limit of core files is 0", async () => {
  expect(await coresBehind(HARD_ZERO)).toMatch(/^(Max core file size [01] [01] bytes \n){2}$/);
});

test("programs of VMs have the limit 1 whatever the soft limit of the server is", async () => {
  expect(await coresBehind(SOFT_ZERO)).toBe("Max core file size 1 1 bytes \n".repeat(2));
});
