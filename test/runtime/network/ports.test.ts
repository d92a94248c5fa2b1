// @module-tag any-user
import { expect, test } from "vitest";
import { startOutboundVm } from "../../support/outside.ts";
import { failure } from "../../support/until.ts";
import { startVm } from "../../support/vm.ts";
import { startHttpServer, textOf } from "../../support/vm-servers.ts";

test("listPorts returns port, address, pid and command", async () => {
  const { vm } = startVm();
  expect(await vm.listPorts()).toEqual([]);
  const first = await startHttpServer(vm, 3001, "127.0.0.1");
  const second = await startHttpServer(vm, 3000, "::1");
  const third = await startHttpServer(vm, 3002);
  expect(await vm.listPorts()).toEqual([
    { port: 3000, address: "::1", pid: second, command: "node" },
    { port: 3001, address: "127.0.0.1", pid: first, command: "node" },
    { port: 3002, address: "::", pid: third, command: "node" },
  ]);
});

test("a client reaches no socket of the server in the VM, such as the outbound proxy", async () => {
  const { vm } = startOutboundVm({ outbound: { allow: ["a.example"] } });
  const proxy = Number(new URL((await vm.exec("echo $HTTP_PROXY")).stdout.trim()).port);
  const { stdout } = await vm.exec("cat /proc/net/tcp");
  const own = [...stdout.matchAll(/: [\dA-F]+:([\dA-F]{4}) [\dA-F:]+ 0A /g)].map(([, hex = ""]) =>
    Number.parseInt(hex, 16),
  );
  expect(own).toContain(proxy);
  const refused = { code: "ECONNREFUSED" };
  for (const port of own) {
    const tunnel = vm.openTunnel({ port }, new AbortController().signal);
    expect(await failure(tunnel), `a tunnel to ${port}`).toMatchObject(refused);
    expect(await failure(vm.vmFetch(port, "http://a.example/")), `a request to ${port}`).toMatchObject(
      refused,
    );
  }
  await startHttpServer(vm, proxy, "::1");
  expect((await vm.vmFetch(proxy, "/hello")).status).toBe(200);
});

test("portOpened and portClosed report a server without a call of listPorts", async () => {
  const { vm, event } = startVm();
  const { pid } = await vm.spawn("node", ["-e", "net.createServer().listen(5000, '127.0.0.1')"]);
  expect(await event("portOpened")).toEqual({ port: 5000, address: "127.0.0.1", pid, command: "node" });
  await vm.killProcess(pid);
  expect(await event("portClosed")).toEqual({ port: 5000, address: "127.0.0.1" });
});

test("portOpened reports a daemon's port", { tags: ["slow"] }, async () => {
  const { vm, event } = startVm();
  await vm.exec("setsid -f node -e 'net.createServer().listen(5001, \"127.0.0.1\")' >/dev/null 2>&1");
  expect(await event("portOpened")).toMatchObject({ port: 5001, command: "node" });
});

test("portOpened reports the port of a daemon that starts slowly", { tags: ["slow"] }, async () => {
  const { vm, event } = startVm();
  const program = `sleep 1; exec node -e 'net.createServer().listen(5002, "127.0.0.1")'`;
  await vm.execArgv("setsid", ["-f", "sh", "-c", program], { captureStdio: false });
  expect(await event("portOpened")).toMatchObject({ port: 5002, command: "node" });
});

test("waitForPort waits for a port and for the expected response", async () => {
  const { vm } = startVm();
  const waiting = vm.waitForPort(3000, { path: "/" });
  await startHttpServer(vm, 3000);
  await waiting;
  await vm.waitForPort(3000, { path: "/status/404", status: 404 });
  expect(await failure(vm.waitForPort(3000, { path: "/status/500", timeoutMs: 1000 }))).toMatchObject({
    code: "port_timeout",
    message: "Port 3000 was not ready within 1000 ms: /status/500 was answered with 500",
  });
  expect(await failure(vm.waitForPort(3009, { timeoutMs: 200 }))).toMatchObject({
    code: "port_timeout",
    message: "Port 3009 was not ready within 200 ms: nothing listens there",
  });
});

test("aborting a wait ends it and cuts its request", async () => {
  const { vm } = startVm();
  await startHttpServer(vm, 3000);
  const abort = new AbortController();
  const waits = [
    vm.waitForPort(3009, {}, abort.signal),
    vm.waitForPort(3000, { path: "/hang/wait" }, abort.signal),
  ];
  const failures = Promise.all(waits.map(failure));
  await vm.vmFetch(3000, "/arrived/wait");
  abort.abort();
  expect(await failures).toMatchObject([{ code: "wait_aborted" }, { code: "wait_aborted" }]);
  await expect.poll(async () => textOf(await vm.vmFetch(3000, "/closed"))).toBe("1");
});

test("a wait ends when the VM stops", { tags: ["slow"] }, async () => {
  const { vm } = startVm();
  await vm.boot();
  const waiting = failure(vm.waitForPort(3000));
  await vm.dispose("destroy");
  expect(await waiting).toMatchObject({ code: "vm_stopped" });
});
