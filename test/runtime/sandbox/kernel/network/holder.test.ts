import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { expect, test } from "vitest";
import { KernelSandboxFactory } from "../../../../../src/runtime/sandbox/kernel/factory.ts";
import type { Sandbox, SandboxFactory } from "../../../../../src/runtime/sandbox/sandbox.ts";
import { startVm } from "../../../../support/vm.ts";

/** A VM, a server of this process's on its loopback, and a program inside that connects to it a number of times. */
async function startConnected(count: number, host = "127.0.0.1") {
  let booted: Sandbox | undefined;
  const { vm } = startVm({}, (options) => {
    const factory: SandboxFactory = new KernelSandboxFactory(options);
    const boot = async (signal: AbortSignal) => {
      booted = await factory.boot(signal);
      return booted;
    };
    return { shell: factory.shell, isolation: factory.isolation, visible: factory.visible, boot };
  });
  await vm.boot();
  const { network } = booted as Sandbox;
  const server = await network.listen();
  const connections: Socket[] = [];
  server.on("connection", (socket) => connections.push(socket.on("error", () => socket.destroy())));
  const { port } = server.address() as AddressInfo;
  const program = `for (let n = 0; n < ${count}; n++) net.connect(${port}, "${host}")`;
  const { pid } = await vm.spawn("node", ["-e", program]);
  await expect.poll(() => connections.length).toBe(count);
  return { vm, network, pid, connections, server, first: connections[0] as Socket };
}

test.each(["127.0.0.1", "::ffff:127.0.0.1"])("the holder of a connection to %s", async (host) => {
  const { network, pid, first } = await startConnected(1, host);
  expect(await network.holderOf(first)).toBe(pid);
});

test("each of two programs holds its own connection", async () => {
  const { vm, network, pid, first, server } = await startConnected(1);
  const connected = once(server, "connection");
  const { port } = server.address() as AddressInfo;
  const other = await vm.spawn("bash", ["-c", `exec 3<>/dev/tcp/127.0.0.1/${port}; read -r line <&3`]);
  const [second] = (await connected) as [Socket];
  expect(await Promise.all([network.holderOf(first), network.holderOf(second)])).toEqual([pid, other.pid]);
});

test("a program that has ended is nobody", async () => {
  const { vm, network, pid, first } = await startConnected(1);
  const ended = once(first, "close");
  await vm.killProcess(pid);
  await vm.waitProcess(pid);
  expect(await network.holderOf(first)).toBeUndefined();
  first.resume();
  await ended;
});

test("a hundred questions at once are answered together; a thousand after each other are not searched for", async () => {
  const { network, pid, connections, first } = await startConnected(100);
  const all = await Promise.all(connections.map((connection) => network.holderOf(connection)));
  expect(all).toEqual(connections.map(() => pid));
  const started = Math.floor(performance.now() / 1000);
  let found = 0;
  for (let count = 0; count < 1000; count++) if ((await network.holderOf(first)) === pid) found += 1;
  const seconds = Math.floor(performance.now() / 1000) - started + 1;
  expect(found).toBeLessThanOrEqual(20 * seconds);
  expect(found).toBeLessThan(1000);
});

test("questions end with the VM", async () => {
  const { vm, network, connections } = await startConnected(50);
  const all = Promise.all(connections.map((connection) => network.holderOf(connection)));
  await vm.dispose("destroy");
  await all;
  expect(await network.holderOf(connections[0] as Socket)).toBeUndefined();
});
