import { afterAll, beforeAll, expect, test } from "vitest";
import { disposeAll } from "../../src/actors/instance.ts";
import { startServer, type TestServer } from "../support/start-server.ts";
import { failure, until } from "../support/until.ts";

/** How long idle VMs of this server stay awake, in milliseconds. */
const SLEEP_MS = 150;

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ vm: { sleepTimeoutMs: SLEEP_MS } });
});
afterAll(() => server.stop());

const agent = (key: string) => server.client().vm.getOrCreate(key);
const newest = () => server.vms.all.at(-1)!;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test("an idle VM goes to sleep, and the next action makes a new one", async () => {
  const vm = agent("sleeper");
  await vm.writeFile("/x", "1");
  const first = newest();
  await until(() => first.disposedFor === "sleep");
  expect(await vm.exists("/x")).toBe(false);
  expect(newest()).not.toBe(first);
});

test("a VM stays awake while a connection stands", async () => {
  const connection = agent("connected").connect();
  await connection.exists("/x");
  const vm = newest();
  await pause(SLEEP_MS * 3);
  expect(vm.disposedFor).toBeUndefined();
  await connection.dispose();
  await until(() => vm.disposedFor === "sleep");
});

test("a VM stays awake while a shell lives, with nobody connected", async () => {
  const vm = agent("shell");
  const { shellId } = await vm.openShell();
  const fake = newest();
  await pause(SLEEP_MS * 3);
  expect(fake.disposedFor).toBeUndefined();
  await vm.closeShell(shellId);
  await until(() => fake.disposedFor === "sleep");
});

test("a VM stays awake while a call runs whose client is gone", async () => {
  const client = server.client();
  const command = `sleep ${SLEEP_MS * 12}`;
  const running = failure(client.vm.getOrCreate("left").exec(command));
  await until(() => server.vms.ran.includes(command));
  const vm = newest();
  await client.dispose();
  expect(await running).toMatchObject({ code: "connection_lost" });
  await pause(SLEEP_MS * 2);
  expect(vm.disposedFor).toBeUndefined();
  await until(() => vm.disposedFor === "sleep");
});

test("before the process exits, every VM is ended and its calls are told", async () => {
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
