import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { KernelSandboxFactory } from "../../../../../src/runtime/sandbox/kernel/factory.ts";
import type { StarterKind } from "../../../../../src/runtime/sandbox/kernel/start/starter.ts";
import { openDescriptors, ownDescendants } from "../../../../support/host.ts";
import { startVm } from "../../../../support/vm.ts";
import { startHttpServer, textOf } from "../../../../support/vm-servers.ts";

/** Host pids of this process's connectors. */
function connectors(): number[] {
  return ownDescendants().filter((pid) => {
    try {
      return /agentos-connector|connector-program/.test(readFileSync(`/proc/${pid}/cmdline`, "utf8"));
    } catch {
      // It has just ended.
      return false;
    }
  });
}

/** A host without perl has launchers, and a connector in Node. */
describe.each<[string, StarterKind]>([
  ["perl", "spawner"],
  ["Node", "launcher"],
])("a connector in %s", (_name, starter) => {
  const start = () => startVm({}, (options) => new KernelSandboxFactory(options, starter));

  test("comes with the first connection, not before", async () => {
    const { vm } = start();
    const pid = await startHttpServer(vm, 3000);
    await vm.listPorts();
    expect(connectors()).toEqual([]);
    expect((await vm.vmFetch(3000, "/")).status).toBe(200);
    expect(connectors()).toHaveLength(1);
    await vm.killProcess(pid);
  });

  test("is replaced when somebody ends it; connections that stand go on", async () => {
    const { vm } = start();
    await startHttpServer(vm, 3000);
    const slow = vm.vmFetch(3000, "/slow");
    await expect.poll(connectors).toHaveLength(1);
    await vm.vmFetch(3000, "/");
    for (const pid of connectors()) process.kill(pid, "SIGKILL");
    await vm.vmFetch(3000, "/go", { method: "POST" });
    expect(textOf(await slow)).toBe("firstsecond");
  });

  test("cannot be seen, signalled or traced from inside", async () => {
    const { vm } = start();
    await startHttpServer(vm, 3000);
    await vm.vmFetch(3000, "/");
    const { stdout } = await vm.exec("cat /proc/[0-9]*/cmdline | tr '\\0' ' '; kill -9 -1");
    expect(stdout).toContain("server.cjs");
    expect(stdout).not.toMatch(/agentos-connector|connector-program/);
    expect(connectors()).toHaveLength(1);
  });

  test("has no privileges", async () => {
    const { vm } = start();
    await startHttpServer(vm, 3000);
    await vm.vmFetch(3000, "/");
    const status = readFileSync(`/proc/${connectors()[0]}/status`, "utf8");
    for (const set of ["CapInh", "CapPrm", "CapEff", "CapAmb"]) {
      expect(status).toMatch(new RegExp(`^${set}:\\t0+$`, "m"));
    }
    expect(status).toMatch(/^NoNewPrivs:\t1$/m);
  });

  test("a hundred connections at once, and nothing is left after dispose", async () => {
    const cycle = async () => {
      const { vm } = start();
      await startHttpServer(vm, 3000);
      const all = await Promise.all(Array.from({ length: 100 }, () => vm.vmFetch(3000, "/")));
      expect(all.every(({ status }) => status === 200)).toBe(true);
      await vm.dispose("destroy");
    };
    await cycle();
    const before = openDescriptors().length;
    await cycle();
    await expect.poll(ownDescendants).toEqual([]);
    await expect.poll(() => openDescriptors().length).toBe(before);
  });
});

test("a port that never answers a connection does not hold up the others", async () => {
  const { vm } = startVm();
  await startHttpServer(vm, 3000);
  // A backlog of one that nobody accepts from: further connections wait in the kernel.
  await vm.spawn("perl", [
    "-e",
    "use Socket; socket(S,AF_INET,SOCK_STREAM,0); bind(S,sockaddr_in(3500,INADDR_LOOPBACK)); listen(S,0); sleep 1000",
  ]);
  await vm.waitForPort(3500);
  const stuck = Array.from({ length: 20 }, () =>
    vm.vmFetch(3500, "/", { timeoutMs: 2_000 }).catch(() => "gone"),
  );
  for (let count = 0; count < 20; count++) {
    expect((await vm.vmFetch(3000, "/", { method: "POST" })).status).toBe(200);
  }
  expect(await Promise.all(stuck)).toEqual(stuck.map(() => "gone"));
});

test("the server's loopback is not the VM's", async () => {
  const { vm } = startVm();
  const { stdout } = await vm.exec("cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d ' '");
  expect(stdout).toBe("lo\n");
  expect(readdirSync("/proc/self/ns")).toContain("net");
});
