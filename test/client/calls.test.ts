import { cp } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import { type FakeServer, startTestServer } from "../support/servers.ts";
import { tcpProxy } from "../support/tcp-proxy.ts";
import { testFolder } from "../support/temporary-folder.ts";
import { failure, quietFor, until } from "../support/until.ts";

let server: FakeServer;
beforeAll(async () => {
  server = await startTestServer({ kind: "fake" });
});
afterAll(() => server.stop());

const times = (command: string) => server.vms.ran.filter((line) => line === command).length;

describe("calls do not wait for each other", () => {
  test("on a handle", async () => {
    const client = server.client();
    const agent = client.vm.getOrCreate("parallel");
    const calls = Array.from({ length: 100 }, () => agent.exec("sleep 600000"));
    const ended = Promise.allSettled(calls);
    await until(() => times("sleep 600000") === 100);
    await client.dispose();
    await ended;
  });

  test("and each begins once if many begin at once on a connection", async () => {
    const connection = server.client().vm.getOrCreate("parallel").connect();
    await connection.exists("/");
    const names = Array.from({ length: 100 }, (_, index) => `once-${index}`);
    const results = await Promise.all(names.map((name) => connection.exec(`echo ${name}`)));
    expect(results.map(({ stdout }) => stdout)).toEqual(names.map((name) => `${name}\n`));
    expect(server.vms.ran.filter((line) => line.includes("once-"))).toEqual(
      names.map((name) => `echo ${name}`),
    );
    await connection.dispose();
  });

  test("on a connection", async () => {
    const connection = server.client().vm.getOrCreate("parallel").connect();
    let ended = false;
    const slow = connection.exec("sleep 400").then(() => {
      ended = true;
    });
    expect((await connection.exec("echo quick")).stdout).toBe("quick\n");
    expect(ended).toBe(false);
    await slow;
    await connection.dispose();
  });
});

describe("a call whose connection breaks", () => {
  test.each(["handle", "connection"] as const)(
    "of a %s runs once, and its result still comes",
    async (kind) => {
      const proxy = await tcpProxy(server.port);
      const agent = server.client({ endpoint: proxy.endpoint }).vm.getOrCreate(`broken-${kind}`);
      const vm = kind === "handle" ? agent : agent.connect();
      const command = `sleep ${kind === "handle" ? 601 : 602}`;
      const call = vm.exec(command);
      await until(() => times(command) === 1);
      proxy.cut();
      expect((await call).exitCode).toBe(0);
      expect(times(command)).toBe(1);
      await proxy.close();
    },
  );

  test("many times with many calls in flight runs no call twice", async () => {
    const proxy = await tcpProxy(server.port);
    const connection = server.client({ endpoint: proxy.endpoint }).vm.getOrCreate("shaky").connect();
    const calls: Promise<unknown>[] = [];
    for (let index = 0; index < 200; index += 1) {
      calls.push(connection.exec(`echo shaky-${index}`));
      if (index % 40 === 39) proxy.cut();
      await new Promise((resolve) => setImmediate(resolve));
    }
    const results = (await Promise.all(calls)) as { stdout: string }[];
    expect(results.map(({ stdout }) => stdout)).toEqual(
      Array.from({ length: 200 }, (_, index) => `shaky-${index}\n`),
    );
    const ran = server.vms.ran.filter((line) => line.includes("shaky-"));
    expect(new Set(ran).size).toBe(ran.length);
    await proxy.close();
  });

  test("while the result is on its way receives the kept outcome", async () => {
    const proxy = await tcpProxy(server.port);
    const agent = server.client({ endpoint: proxy.endpoint }).vm.getOrCreate("stalled");
    await agent.exec("echo warm");
    proxy.stall();
    const call = agent.exec("echo kept");
    await until(() => times("echo kept") === 1);
    proxy.cut();
    expect((await call).stdout).toBe("kept\n");
    expect(times("echo kept")).toBe(1);
    await proxy.close();
  });
});

test("a call that a restarted server has forgotten is lost, and does not run again", async () => {
  const first = await startTestServer({ kind: "fake", process: true });
  const proxy = await tcpProxy(first.port);
  const client = createClient<FakeServer["registry"]>({ endpoint: proxy.endpoint });
  const agent = client.vm.getOrCreate("restarted");
  await agent.exec("echo warm");
  // On a busy machine a server takes longer to start than a client waits for one. So the next one runs already, with the data of now.
  first.process.kill("SIGSTOP");
  const dataDir = testFolder();
  await cp(first.dataDir, dataDir, { recursive: true });
  first.process.kill("SIGCONT");
  const second = await startTestServer({ kind: "fake", process: true, dataDir });
  const call = failure(agent.exec("sleep 20000"));
  await until(() => first.stderr().includes("sleep 20000"));
  proxy.target = second.port;
  first.process.kill("SIGKILL");
  const error = await call;
  expect(error).toMatchObject({ name: "AgentVmError", code: "call_lost", metadata: { action: "exec" } });
  expect((await agent.exec("echo again")).stdout).toBe("again\n");
  expect(second.stderr()).not.toContain("sleep 20000");
  await client.dispose();
  await proxy.close();
});

describe("a server that cannot be reached", () => {
  test("fails every call of a handle at once", async () => {
    const agent = createClient<FakeServer["registry"]>({ endpoint: "http://127.0.0.1:9" }).vm.getOrCreate(
      "x",
    );
    for (const call of [() => agent.exists("/x"), () => agent.exec("echo hi"), () => agent.resolve()]) {
      const error = await failure(call());
      expect(error).toMatchObject({
        name: "AgentVmError",
        code: "connection_lost",
        metadata: { endpoint: "http://127.0.0.1:9", hint: expect.stringContaining("createClient()") },
      });
      expect(error.message).toMatch(/^The server at http:\/\/127.0.0.1:9 cannot be reached: ./);
    }
  });

  test("lets the calls of a connection wait", async () => {
    const proxy = await tcpProxy(server.port);
    proxy.target = undefined;
    const connection = server.client({ endpoint: proxy.endpoint }).vm.getOrCreate("patient").connect();
    const call = connection.exec("echo patient");
    await quietFor(300);
    proxy.target = server.port;
    expect((await call).stdout).toBe("patient\n");
    await connection.dispose();
    await proxy.close();
  });
});

describe("cancelling", () => {
  test("a signal ends the wait, and the command keeps running", async () => {
    const agent = server.client().vm.getOrCreate("abort");
    for (const vm of [agent, agent.connect()]) {
      const stop = new AbortController();
      const call = failure(vm.exec("sleep 300", {}, { signal: stop.signal }));
      setTimeout(() => stop.abort(new Error("enough")), 50);
      expect((await call).message).toBe("enough");
      expect(await failure(vm.exec("sleep 1", {}, { signal: AbortSignal.abort("early") }))).toBe("early");
    }
    expect((await agent.exec("echo fine")).stdout).toBe("fine\n");
  });

  test("refuses options that are not a signal", async () => {
    const agent = server.client().vm.getOrCreate("abort");
    const error = await failure(agent.exec("x", {}, { sgnal: 1 } as object));
    expect(error).toMatchObject({
      code: "invalid_argument",
      message: "Unknown option `sgnal` of exec: it takes `signal`",
    });
  });

  test("dispose of a connection rejects its calls", async () => {
    const connection = server.client().vm.getOrCreate("abort").connect();
    const call = failure(connection.exec("sleep 5000"));
    await until(() => connection.isConnected);
    await connection.dispose();
    expect(await call).toMatchObject({ code: "connection_lost", message: "The connection was disposed" });
    expect(await failure(connection.exec("echo x"))).toMatchObject({ code: "connection_lost" });
  });
});

test("the client refuses arguments above the size of a message before it sends them", async () => {
  const agent = server.client().vm.getOrCreate("large");
  const stdin = new Uint8Array(32 * 1024 * 1024);
  for (const vm of [agent, agent.connect()]) {
    const error = await failure(vm.exec("cat", { stdin }));
    expect(error).toMatchObject({ name: "AgentVmError", code: "invalid_argument" });
    expect(error.message).toMatch(
      /^The arguments of exec have \d+ bytes, above the \d+ that one message carries/,
    );
  }
});

test("clients that create a VM at the same time all reach it", async () => {
  const found: Promise<boolean>[] = [];
  const clients = [server.client(), server.client(), server.client()];
  for (let round = 0; round < 10; round += 1) {
    for (const { vm } of clients) found.push(vm.getOrCreate(`together-${round}`).exists("/x"));
  }
  expect(await Promise.all(found)).not.toContain(true);
});

test("a call of an actor that does not exist fails with actor_not_found", async () => {
  const { vm } = server.client();
  const byKey = { code: "actor_not_found", message: 'VM not found: vm:["nobody"]' };
  expect(await failure(vm.get("nobody").exec("echo hi"))).toMatchObject(byKey);
  expect(await failure(vm.get("nobody").exists("/x"))).toMatchObject(byKey);
  const byId = { code: "actor_not_found", message: "VM not found: none" };
  expect(await failure(vm.getForId("none").exists("/x"))).toMatchObject(byId);
});

test("getOrCreate, get, getForId and create make handles", async () => {
  const { vm } = server.client();
  const created = await vm.create(["team", "agent"]);
  await created.writeFile("/x", "1");
  expect(await vm.get(["team", "agent"]).exists("/x")).toBe(true);
  expect(await vm.getOrCreate(["team", "agent"]).exists("/x")).toBe(true);
  expect(await vm.getForId(await created.resolve()).exists("/x")).toBe(true);
  expect(await failure(vm.create(["team", "agent"]))).toMatchObject({ name: "AgentVmError" });
});
