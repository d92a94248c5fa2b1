// @module-tag slow
import { existsSync } from "node:fs";
import { expect } from "vitest";
import { testRows } from "../support/rows.ts";
import { descendantsOf } from "../support/server-resources.ts";
import { startTestServer } from "../support/servers.ts";
import { until } from "../support/until.ts";

testRows<[NodeJS.Signals]>([["SIGTERM"], ["SIGKILL"]], 2)(
  "a server boots VMs ahead, which nobody sees, and leaves none of them after %s",
  async (signal) => {
    const server = await startTestServer({
      kind: "kernel",
      process: true,
      env: { AGENT_VM_POOL: "2", AGENT_VM_MAX_AWAKE: "3" },
    });
    const metrics = async () => (await fetch(`${server.endpoint}/metrics`)).text();
    const isWaiting = async (count: number) => (await metrics()).includes(`agent_vm_pool_waiting ${count}\n`);
    await until(() => isWaiting(2));
    const client = server.client();
    expect((await client.vm.list()).vms).toEqual([]);
    const vm = client.vm.getOrCreate("one");
    expect((await vm.exec("id -un")).stdout).toBe("agentos\n");
    expect(await metrics()).toMatch(/^agent_vm_pool_claims_total\{outcome="hit"\} 1$/m);
    expect((await client.vm.list()).vms.map(({ key, state }) => [key, state])).toEqual([[["one"], "awake"]]);
    await until(() => isWaiting(2));
    // Three VMs may be awake: one is left for the VMs that wait.
    expect((await client.vm.getOrCreate("two").exec("echo two")).stdout).toBe("two\n");
    await until(() => isWaiting(1));
    const processes = descendantsOf(server.process.pid as number);
    expect(processes.length).toBeGreaterThan(0);
    server.process.kill(signal);
    expect(await server.exited).toBe(signal === "SIGKILL" ? "SIGKILL" : 0);
    await until(() => !processes.some((pid) => existsSync(`/proc/${pid}`)));
  },
);
