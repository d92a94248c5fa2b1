// @module-tag any-user
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { expect, test } from "vitest";
import { KernelSandboxFactory } from "../../../../../src/runtime/sandbox/kernel/factory.ts";
import { capabilityOf, type Sandbox } from "../../../../../src/runtime/sandbox/sandbox.ts";
import { startVm } from "../../../../support/vm.ts";

/** Starts a VM, a server of this process on its loopback, and a program in the VM that connects `count` times. */
async function startConnected(count: number, host = "127.0.0.1") {
  let booted: Sandbox | undefined;
  const { vm } = startVm({}, (options) => {
    const factory = new KernelSandboxFactory(options);
    const boot = async (signal: AbortSignal) => {
      booted = await factory.boot(signal);
      return booted;
    };
    const { runtime, capabilities } = factory;
    const { enforced } = factory;
    return { runtime, capabilities, enforced, describe: () => factory.describe(), boot };
  });
  await vm.boot();
  const network = capabilityOf(booted as unknown as Sandbox, "network", "test");
  const server = await network.listen(0);
  const connections: Socket[] = [];
  server.on("connection", (socket) => connections.push(socket.on("error", () => socket.destroy())));
  const { port } = server.address() as AddressInfo;
  const program = `for (let n = 0; n < ${count}; n++) net.connect(${port}, "${host}")`;
  const { pid } = await vm.spawn("node", ["-e", program]);
  await expect.poll(() => connections.length).toBe(count);
  return { vm, network, pid, connections, server, first: connections[0] as Socket };
}

test.each(["127.0.0.1", "::ffff:127.0.0.1"])(
  "ownerOf finds the process of a connection to %s",
  async (host) => {
    const { network, pid, first } = await startConnected(1, host);
    expect(await network.ownerOf(first)).toBe(pid);
  },
);

test("ownerOf distinguishes the connections of two programs", async () => {
  const { vm, network, pid, first, server } = await startConnected(1);
  const connected = once(server, "connection");
  const { port } = server.address() as AddressInfo;
  const other = await vm.spawn("bash", ["-c", `exec 3<>/dev/tcp/127.0.0.1/${port}; read -r line <&3`]);
  const [second] = (await connected) as [Socket];
  expect(await Promise.all([network.ownerOf(first), network.ownerOf(second)])).toEqual([pid, other.pid]);
});

test("ownerOf is undefined after the program's end", async () => {
  const { vm, network, pid, first } = await startConnected(1);
  const ended = once(first, "close");
  await vm.killProcess(pid);
  await vm.waitProcess(pid);
  expect(await network.ownerOf(first)).toBeUndefined();
  first.resume();
  await ended;
});

test("one search answers a hundred concurrent questions, and searches are limited per second", async () => {
  const { network, pid, connections, first } = await startConnected(100);
  const all = await Promise.all(connections.map((connection) => network.ownerOf(connection)));
  expect(all).toEqual(connections.map(() => pid));
  const started = Math.floor(performance.now() / 1000);
  let found = 0;
  for (let count = 0; count < 1000; count++) if ((await network.ownerOf(first)) === pid) found += 1;
  const seconds = Math.floor(performance.now() / 1000) - started + 1;
  expect(found).toBeLessThanOrEqual(20 * seconds);
  expect(found).toBeLessThan(1000);
});

test("dispose() ends running searches", async () => {
  const { vm, network, connections } = await startConnected(50);
  const all = Promise.all(connections.map((connection) => network.ownerOf(connection)));
  await vm.dispose("destroy");
  await all;
  expect(await network.ownerOf(connections[0] as Socket)).toBeUndefined();
});
