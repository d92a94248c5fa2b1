import { afterAll, beforeAll, expect, test } from "vitest";
import { disposeAll } from "../../src/actors/awake-vms.ts";
import { type FakeServer, startTestServer } from "../support/servers.ts";
import { failure, quietFor, until } from "../support/until.ts";

/** Milliseconds that idle VMs of this server stay awake. */
const SLEEP_MS = 150;

let server: FakeServer;
beforeAll(async () => {
  server = await startTestServer({ kind: "fake", vm: { sleepTimeoutMs: SLEEP_MS } });
});
afterAll(() => server.stop());

const agent = (key: string) => server.client().vm.getOrCreate(key);
const newest = () => server.vms.all.at(-1)!;

test("an idle VM sleeps, and the next action starts it again", async () => {
  const vm = agent("sleeper");
  await vm.writeFile("/x", "1");
  const first = newest();
  await until(() => first.disposedFor === "sleep");
  expect(await vm.exists("/x")).toBe(false);
  expect(newest()).not.toBe(first);
});

test("an open connection keeps the VM awake", async () => {
  const connection = agent("connected").connect();
  await connection.exists("/x");
  const vm = newest();
  await quietFor(SLEEP_MS * 3);
  expect(vm.disposedFor).toBeUndefined();
  await connection.dispose();
  await until(() => vm.disposedFor === "sleep");
});

test("a running shell keeps the VM awake without a connection", async () => {
  const vm = agent("shell");
  const { shellId } = await vm.openShell();
  const fake = newest();
  await quietFor(SLEEP_MS * 3);
  expect(fake.disposedFor).toBeUndefined();
  await vm.closeShell(shellId);
  await until(() => fake.disposedFor === "sleep");
});

test("a running call keeps the VM awake after its client has gone", async () => {
  const client = server.client();
  const command = `sleep ${SLEEP_MS * 30}`;
  const running = failure(client.vm.getOrCreate("left").exec(command));
  await until(() => server.vms.ran.includes(command));
  const vm = newest();
  await client.dispose();
  expect(await running).toMatchObject({ code: "connection_lost" });
  await quietFor(SLEEP_MS * 2);
  expect(vm.disposedFor).toBeUndefined();
  await until(() => vm.disposedFor === "sleep");
});

test("disposeAll ends every VM, and its calls end with vm_stopped", async () => {
  const vm = agent("doomed");
  const connection = vm.connect();
  const shutdown = new Promise((resolve) => void connection.on("vmShutdown", resolve));
  const running = failure(connection.exec("sleep 60000"));
  await until(() => server.vms.ran.includes("sleep 60000"));
  expect(await disposeAll("sleep")).toBeGreaterThan(0);
  expect(await running).toMatchObject({ code: "vm_stopped" });
  expect(await shutdown).toEqual({ reason: "sleep" });
  expect(await disposeAll("sleep")).toBe(0);
});
