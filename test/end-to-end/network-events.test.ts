import { expect, onTestFinished, test } from "vitest";
import { sharedServer } from "../support/servers.ts";

const server = sharedServer();

test("a client receives events of ports and of denied connections", async () => {
  const client = server().client();
  const vm = client.vm.getOrCreate("received");
  const connection = vm.connect();
  onTestFinished(() => connection.dispose());
  const received: Record<"opened" | "closed" | "denied", unknown[]> = { opened: [], closed: [], denied: [] };
  connection.on("portOpened", (port) => received.opened.push(port));
  connection.on("portClosed", (port) => received.closed.push(port));
  connection.on("networkDenied", (denial) => received.denied.push(denial));

  const { pid } = await connection.spawn("node", ["-e", "net.createServer().listen(5000, '127.0.0.1')"]);
  await expect
    .poll(() => received.opened)
    .toEqual([{ port: 5000, address: "127.0.0.1", pid, command: "node" }]);
  await connection.killProcess(pid);
  await expect.poll(() => received.closed).toEqual([{ port: 5000, address: "127.0.0.1" }]);

  await connection.setNetworkPolicy({ outbound: { allow: ["api.test"] } });
  const asking = await connection.spawn("curl", ["-sS", "http://other.test:8080/"]);
  await connection.waitProcess(asking.pid);
  const denial = { host: "other.test", port: 8080, reason: "the policy does not allow this name" };
  await expect.poll(() => received.denied).toEqual([{ ...denial, pid: asking.pid }]);
  expect(await connection.getNetworkLog()).toEqual([
    { ...denial, pid: asking.pid, count: 1, time: expect.any(Number) },
  ]);
  expect(await vm.getNetworkPolicy()).toEqual({ outbound: { allow: ["api.test"] }, headers: {} });
});
