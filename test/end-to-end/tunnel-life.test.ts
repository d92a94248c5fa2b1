import { expect, onTestFinished, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { VmHandle } from "../../src/client/types.ts";
import type { registry } from "../../src/server.ts";
import { startTestServer } from "../support/servers.ts";
import { closed, connectTo, readAll, readSome, TCP_SERVER } from "../support/tcp.ts";
import { dataFolder } from "../support/temporary-folder.ts";

async function startServer(vm: VmHandle): Promise<void> {
  await vm.writeFile("/workspace/tcp-server.cjs", TCP_SERVER);
  await vm.spawn("node", ["/workspace/tcp-server.cjs", "4000"]);
  await vm.waitForPort(4000);
}

test("an idle tunnel lets its VM sleep, a connection wakes it and keeps it awake", {
  tags: ["slow"],
}, async () => {
  const server = await startTestServer({ kind: "kernel", vm: { sleepTimeoutMs: 400 } });
  const client = server.client();
  const vm = client.vm.getOrCreate("sleeper");
  await vm.exec("true");
  const errors: string[] = [];
  await using tunnel = await vm.tunnel({ port: 4000, onError: ({ code }) => errors.push(code) });
  const state = async () => (await client.vm.list()).vms[0]?.state;
  await expect.poll(state).toBe("sleeping");
  // Nothing listens in the new boot.
  await closed(await connectTo(tunnel));
  await expect.poll(() => errors).toEqual(["ECONNREFUSED"]);
  // A daemon does not keep the VM awake by itself.
  await vm.writeFile("/workspace/tcp-server.cjs", TCP_SERVER);
  await vm.execArgv("setsid", ["-f", "node", "/workspace/tcp-server.cjs", "4000"], { captureStdio: false });
  await vm.waitForPort(4000);
  const socket = await connectTo(tunnel);
  socket.write("echo\na");
  expect(await readSome(socket)).toBe("a");
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  socket.write("b");
  expect(await readSome(socket)).toBe("b");
  socket.end();
  await expect.poll(state).toBe("sleeping");
});

test("destroying the VM ends its tunnels and offers, and leaves nothing", async () => {
  const server = await startTestServer({ kind: "kernel" });
  const client = server.client();
  const vm = client.vm.getOrCreate("doomed");
  await startServer(vm);
  await vm.setNetworkPolicy({ outbound: { allow: ["web.agent-vm:80"] } });
  const errors: string[] = [];
  const onError = ({ code }: { code: string }) => errors.push(code);
  await using tunnel = await vm.tunnel({ port: 4000, onError });
  await using _offer = await vm.tunnelOut({ name: "web", port: 80, onError });
  const socket = await connectTo(tunnel);
  socket.write("echo\na");
  expect(await readSome(socket)).toBe("a");
  await vm.destroy();
  await closed(socket);
  await expect.poll(() => errors.sort()).toEqual(["vm_destroyed", "vm_destroyed"]);
  // A handle that makes missing VMs makes another one, which knows nothing of the old one.
  await startServer(vm);
  const again = await connectTo(tunnel);
  again.end("echo\nb");
  expect(String(await readAll(again))).toBe("b");
});

test("new connections and offers go on after the server restarts", { tags: ["slow"] }, async () => {
  const dataDir = dataFolder();
  const first = await startTestServer({ kind: "kernel", process: true, dataDir });
  // The end of a server in a test disposes its clients.
  const client = createClient<typeof registry>({ endpoint: first.endpoint });
  onTestFinished(() => client.dispose());
  const vm = client.vm.getOrCreate("survivor");
  await startServer(vm);
  await vm.setNetworkPolicy({ outbound: { allow: ["web.agent-vm:4000"] } });
  await using tunnel = await vm.tunnel({ port: 4000 });
  await using _offer = await vm.tunnelOut({ name: "web", port: 4000, localPort: tunnel.port });
  const socket = await connectTo(tunnel);
  socket.write("echo\na");
  expect(await readSome(socket)).toBe("a");
  const { port } = first;
  await first.stop("SIGKILL");
  await closed(socket);
  // While there is no server, a connection is reset.
  expect(await closed(await connectTo(tunnel))).toBe(true);
  const second = await startTestServer({ kind: "kernel", process: true, dataDir, port });
  const other = second.client().vm.getOrCreate("survivor");
  await startServer(other);
  const next = await connectTo(tunnel);
  next.end("echo\nb");
  expect(String(await readAll(next))).toBe("b");
  // From inside through the client's machine back into the VM.
  const code = 'exec 3<>/dev/tcp/web.agent-vm/4000; printf "echo\\nround trip\\n" >&3; head -n 1 <&3';
  await expect
    .poll(async () => (await other.execArgv("bash", ["-c", code])).stdout, { timeout: 20_000, interval: 500 })
    .toBe("round trip\n");
});

test("the memory runtime answers `not_supported`", async () => {
  const server = await startTestServer({ kind: "kernel", vm: { runtime: "memory" } });
  const vm = server.client().vm.getOrCreate("memory");
  const errors: string[] = [];
  await using tunnel = await vm.tunnel({ port: 4000, onError: ({ code }) => errors.push(code) });
  await closed(await connectTo(tunnel));
  await expect.poll(() => errors).toEqual(["not_supported"]);
  await expect(vm.tunnelOut({ name: "web", port: 80 })).rejects.toMatchObject({ code: "not_supported" });
  await expect(vm.vmWebSocket(4000)).rejects.toMatchObject({ code: "not_supported" });
});
