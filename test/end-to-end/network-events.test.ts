import { expect, onTestFinished, test } from "vitest";
import { startKernelServer } from "../support/kernel-server.ts";

test("a client hears of ports and of denials", async () => {
  const { client } = await startKernelServer();
  const vm = client.vm.getOrCreate("heard");
  const connection = vm.connect();
  onTestFinished(() => connection.dispose());
  const heard: Record<"opened" | "closed" | "denied", unknown[]> = { opened: [], closed: [], denied: [] };
  connection.on("portOpened", (port) => heard.opened.push(port));
  connection.on("portClosed", (port) => heard.closed.push(port));
  connection.on("networkDenied", (denial) => heard.denied.push(denial));

  const { pid } = await connection.spawn("node", ["-e", "net.createServer().listen(5000, '127.0.0.1')"]);
  await expect.poll(() => heard.opened).toEqual([{ port: 5000, address: "127.0.0.1", pid, command: "node" }]);
  await connection.killProcess(pid);
  await expect.poll(() => heard.closed).toEqual([{ port: 5000, address: "127.0.0.1" }]);

  await connection.setNetworkPolicy({ outbound: { allow: ["api.test"] } });
  const asking = await connection.spawn("curl", ["-sS", "http://other.test:8080/"]);
  await connection.waitProcess(asking.pid);
  const denial = { host: "other.test", port: 8080, reason: "the policy does not allow this name" };
  await expect.poll(() => heard.denied).toEqual([{ ...denial, pid: asking.pid }]);
  expect(await connection.getNetworkLog()).toEqual([
    { ...denial, pid: asking.pid, count: 1, time: expect.any(Number) },
  ]);
  expect(await vm.getNetworkPolicy()).toEqual({ outbound: { allow: ["api.test"] }, headers: {} });
});
