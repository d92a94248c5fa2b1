// @module-tag slow
import { expect, test } from "vitest";
import { type ProgramServer, startTestServer } from "../support/servers.ts";
import { failure, until } from "../support/until.ts";

/** Starts a server whose fake VMs write each command line to stderr. */
async function start(drainMs: string, before?: ProgramServer): Promise<ProgramServer> {
  const place = before && { port: before.port, dataDir: before.dataDir };
  return await startTestServer({
    kind: "fake",
    process: true,
    env: { AGENT_VM_DRAIN_MS: drainMs, NODE_ENV: "production" },
    ...place,
  });
}

const drain = (server: ProgramServer) => fetch(`${server.endpoint}/drain`, { method: "POST" });

const isDraining = async (server: ProgramServer) =>
  (await (await fetch(`${server.endpoint}/health/ready`)).text()).includes('"draining":true');

test("SIGTERM: running calls get their results, later calls run once the server is back, and no call runs twice", async () => {
  const first = await start("60000");
  const client = first.client();
  const connection = client.vm.getOrCreate("one").connect();
  const running = connection.exec("sleep 4000");
  await until(() => first.stderr().includes("sleep 4000"));
  first.process.kill("SIGTERM");
  await until(() => isDraining(first));
  expect((await fetch(`${first.endpoint}/health/live`)).status).toBe(200);
  expect((await fetch(`${first.endpoint}/health/ready`)).status).toBe(503);
  const later = [
    connection.exec("echo over the open connection"),
    client.vm.getOrCreate("one").exec("echo over a handle"),
    client.vm.getOrCreate("two").writeFile("/x", "short"),
    client.vm.getOrCreate("three").connect().exec("echo over a new connection"),
  ];
  expect((await running).exitCode).toBe(0);
  expect(await first.exited).toBe(0);
  expect(first.stderr()).not.toContain("echo");
  const second = await start("60000", first);
  await Promise.all(later);
  await expect
    .poll(() =>
      second
        .stderr()
        .match(/echo over .*/g)
        ?.toSorted(),
    )
    .toEqual(["echo over a handle", "echo over a new connection", "echo over the open connection"]);
});

test("SIGTERM: a call that does not end in time is lost, never vm_stopped", async () => {
  const first = await start("100");
  const connection = first.client().vm.getOrCreate("one").connect();
  const running = failure(connection.exec("sleep 100000"));
  await until(() => first.stderr().includes("sleep 100000"));
  first.process.kill("SIGTERM");
  expect(await first.exited).toBe(0);
  await start("100", first);
  expect(await running).toMatchObject({ code: "call_lost" });
});

test.for<[title: string, ask: (server: ProgramServer) => Promise<unknown>]>([
  ["two POST /drain at a time", (server) => Promise.all([drain(server), drain(server)])],
  [
    "POST /drain with SIGTERM",
    async (server) => {
      await drain(server);
      server.process.kill("SIGTERM");
    },
  ],
])("%s: the running call gets its result", async ([, ask]) => {
  const server = await start("60000");
  const running = server.client().vm.getOrCreate("one").connect().exec("sleep 2000");
  await until(() => server.stderr().includes("sleep 2000"));
  await ask(server);
  expect((await running).exitCode).toBe(0);
  expect(await server.exited).toBe(0);
});

test("a second SIGINT, and a third SIGTERM after POST /drain, exit at once with 130", async () => {
  for (const [signal, isAsked] of [
    ["SIGINT", false],
    ["SIGTERM", true],
  ] as const) {
    const server = await start("60000");
    const running = failure(server.client().vm.getOrCreate("one").connect().exec("sleep 100000"));
    await until(() => server.stderr().includes("sleep 100000"));
    if (isAsked) await drain(server);
    else server.process.kill(signal);
    await until(() => isDraining(server));
    const { exited } = server;
    // Signals that arrive together may be one for the kernel.
    const timer = setInterval(() => server.process.kill(signal), 100);
    expect(await exited).toBe(130);
    clearInterval(timer);
    void running;
  }
});
