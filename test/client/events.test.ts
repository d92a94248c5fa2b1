import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type FakeServer, startTestServer } from "../support/servers.ts";
import { tcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";

let server: FakeServer;
beforeAll(async () => {
  server = await startTestServer({ kind: "fake" });
});
afterAll(() => server.stop());

test("an action on a handle reaches the server after the subscriptions on its connections", async () => {
  for (let round = 0; round < 20; round += 1) {
    const agent = server.client().vm.getOrCreate(`events-${round}`);
    const connection = agent.connect();
    const heard: number[] = [];
    connection.on("processOutput", ({ seq }) => heard.push(seq));
    const exited = new Promise((resolve) => void connection.once("processExit", resolve));
    await agent.spawn("flood", ["1"]);
    expect(await exited).toEqual({ pid: 2, exitCode: 0, reason: "exit" });
    expect(heard).toEqual([0, 1, 2, 3, 4, 5]);
    await connection.dispose();
  }
});

test("an action on a handle does not wait for a connection that has ended for good", async () => {
  const client = server.client();
  const agent = client.vm.get("late");
  const connection = agent.connect();
  connection.on("processOutput", () => undefined);
  await new Promise((resolve) => void connection.onError(resolve));
  await until(() => connection.connStatus === "idle");
  await client.vm.create("late");
  expect((await agent.exec("echo answers")).stdout).toBe("answers\n");
  await client.dispose();
});

test("an abort ends a call that waits for an earlier subscription", async () => {
  const silent = createServer(() => undefined).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const { port } = silent.address() as AddressInfo;
  const client = server.client({ endpoint: `http://127.0.0.1:${port}` });
  const agent = client.vm.getOrCreate("aborted");
  agent.connect().on("processOutput", () => undefined);
  const abort = new AbortController();
  const call = agent.exec("true", {}, { signal: abort.signal });
  abort.abort(new Error("the reason"));
  await expect(call).rejects.toThrow("the reason");
  await client.dispose();
  silent.closeAllConnections();
  silent.close();
});

test.each([
  [
    "that throws",
    () => {
      throw new Error("mine");
    },
  ],
  ["whose promise rejects", () => Promise.reject(new Error("mine"))],
])("the error of a listener %s goes to the console", async (_what, listener: () => void) => {
  const told = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const connection = server.client().vm.getOrCreate("throwing").connect();
  connection.on("processExit", listener);
  connection.once("processExit", listener);
  await connection.spawn("flood", ["0"]);
  await until(() => told.mock.calls.length >= 2);
  expect(told.mock.calls.map(([, error]) => String(error))).toEqual(["Error: mine", "Error: mine"]);
  told.mockRestore();
  await connection.dispose();
});

test("bytes arrive as Uint8Array", async () => {
  const connection = server.client().vm.getOrCreate("bytes").connect();
  const data = new Promise<Uint8Array>(
    (resolve) => void connection.once("shellData", (event) => resolve(event.data)),
  );
  await connection.openShell();
  expect(await data).toBeInstanceOf(Uint8Array);
  expect(new TextDecoder().decode(await data)).toBe("$ ");
  await connection.dispose();
});

test("the server does not send an event after its last listener has gone", async () => {
  const proxy = await tcpProxy(server.port);
  const connection = server.client({ endpoint: proxy.endpoint }).vm.getOrCreate("quiet").connect();
  const other = server.client().vm.getOrCreate("quiet");
  const { shellId } = await other.openShell();
  let heard = 0;
  const cancel = connection.on("shellData", ({ data }) => {
    heard += data.byteLength;
  });
  await connection.exists("/x");
  await other.writeShell(shellId, "x".repeat(100_000));
  await until(() => heard === 100_000);
  cancel();
  await connection.exists("/x");
  const before = proxy.received;
  await other.writeShell(shellId, "x".repeat(100_000));
  await connection.exists("/x");
  expect(proxy.received - before).toBeLessThan(10_000);
  await connection.dispose();
  await proxy.close();
});

test("a new connection keeps subscriptions; once fires once, and a cancelled subscription stays cancelled", async () => {
  const proxy = await tcpProxy(server.port);
  const connection = server.client({ endpoint: proxy.endpoint }).vm.getOrCreate("again").connect();
  const statuses: string[] = [];
  let opened = 0;
  let closed = 0;
  connection.onStatusChange((status) => statuses.push(status));
  connection.onOpen(() => {
    opened += 1;
  });
  connection.onClose(() => {
    closed += 1;
  });
  const heard: string[] = [];
  const text = (data: Uint8Array) => new TextDecoder().decode(data);
  connection.on("shellData", ({ data }) => heard.push(`on ${text(data)}`));
  connection.once("shellData", ({ data }) => heard.push(`once ${text(data)}`));
  const cancel = connection.on("shellData", ({ data }) => heard.push(`cancelled ${text(data)}`));
  const { shellId } = await connection.openShell();
  cancel();
  proxy.cut();
  await until(() => opened === 2);
  await connection.writeShell(shellId, "after");
  await until(() => heard.length >= 4);
  expect(heard).toEqual(["on $ ", "once $ ", "cancelled $ ", "on after"]);
  expect(statuses).toEqual(["connecting", "connected", "disconnected", "connecting", "connected"].slice(1));
  expect(closed).toBe(1);
  await connection.dispose();
  expect(connection.connStatus).toBe("idle");
  await proxy.close();
});
