import { createClient as createRivetClient } from "rivetkit/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { defineVm } from "../../src/actors/define-vm.ts";
import { createClient, type VmClient } from "../../src/client/index.ts";
import { listen, type RunningServer, setup, vmActor } from "../../src/index.ts";
import { actor, event, queue, UserError } from "../../src/rivetkit.ts";
import { freePort } from "../support/free-port.ts";
import { dataFolder } from "../support/temporary-folder.ts";
import { failure, until } from "../support/until.ts";

const TOKEN = "a-token-of-the-server-000000000000";
const seen: string[] = [];

function makeRegistry(port: number) {
  const vm = vmActor({
    pool: { size: 0 },
    sleepTimeoutMs: 60_000,
    createState: (c, input) => ({ count: 0, key: c.key.join("/"), tier: input.labels?.tier ?? "none" }),
    createVars: () => ({ wakes: 1 }),
    createConnState: (_c, params) => ({ as: params?.token === TOKEN ? "owner" : "other" }),
    onBeforeConnect(c, params) {
      if (c.key[0] === "closed") throw new UserError("no entry", { code: "no_entry" });
      if (c.key[0] === "broken") throw new Error(`a secret: ${params?.token}`);
    },
    onConnect: (c, conn) => void seen.push(`${c.key} connects as ${conn.state.as}`),
    onDisconnect: (c, conn) => void seen.push(`${c.key} leaves as ${conn.state.as}`),
    onCreate: (c, input) => void seen.push(`create ${c.key} ${c.state.count} ${input.labels?.tier}`),
    onWake: (c) => void seen.push(`wake ${c.key} ${c.state.count}`),
    onSleep: (c) => void seen.push(`sleep ${c.key} ${c.state.count}`),
    onDestroy: (c) => void seen.push(`destroy ${c.key}`),
    events: { counted: event<{ count: number }>() },
    queues: { work: queue<{ by: number }>() },
    actions: {
      add(c, by: number) {
        c.state.count += by;
        c.broadcast("counted", { count: c.state.count });
        return c.state.count;
      },
      count: (c) => c.state.count,
      state: (c) => c.state,
      who: (c) => [c.conn.state.as, c.may.includes("admin"), c.identity ?? null],
      run_: async (c, command: string) => (await c.vm.exec(command)).stdout,
      bad: (c) => c.vm.exec(5 as never),
      fails() {
        throw new Error("a secret of the server");
      },
      storage: (c) => (c as unknown as { kv: unknown }).kv,
      nothing: () => undefined,
      large: () => new Uint8Array(40 * 1024 * 1024),
      later: async (c) => await c.schedule.after(10, "add", 100),
      nap: (c) => c.sleep(),
      end: (c) => c.destroy(),
    },
    rights: { count: "read" },
    async run(c) {
      for await (const { body } of c.queue.iter()) c.state.count += body.by;
    },
    onRequest: async (c, request) =>
      Response.json({
        path: new URL(request.url).pathname,
        body: await request.text(),
        count: c.state.count,
      }),
    options: { name: "Counting VM" },
  });
  const plain = vmActor({ pool: { size: 0 } });
  const other = actor({ actions: { hello: () => "hello" } });
  return setup({ use: { vm, plain, other }, port, token: TOKEN, dataDir: dataFolder() });
}

type TestRegistry = ReturnType<typeof makeRegistry>;

let running: RunningServer;
let client: VmClient<TestRegistry>;
beforeAll(async () => {
  running = await listen(makeRegistry(await freePort()));
  client = clientOf(TOKEN);
});
afterAll(async () => {
  await client.dispose();
  await running.close();
});

const clientOf = (token: string) =>
  createClient<TestRegistry>({ endpoint: running.endpoint, token, vms: ["vm", "plain"] });

test("own actions and the methods of the VM answer beside each other, over handles and connections", async () => {
  const vm = client.vm.getOrCreate("both");
  expect(await vm.add(2)).toBe(2);
  expect((await vm.exec("echo hi")).stdout).toBe("hi\n");
  const conn = vm.connect();
  expect(await conn.add(3)).toBe(5);
  expect(await conn.run_("echo from inside; pwd")).toBe("from inside\n/home/agentos\n");
  expect(await vm.nothing()).toBeUndefined();
  await conn.dispose();
});

test("RivetKit's own client reaches own actions and events", async () => {
  const endpoint = `http://default:${TOKEN}@${new URL(running.endpoint).host}`;
  const rivet = createRivetClient<TestRegistry>(endpoint);
  const vm = rivet.vm.getOrCreate("rivet", { params: { token: TOKEN } });
  expect(await vm.add(4)).toBe(4);
});

test("an event of the server's own reaches a client that listens", async () => {
  const conn = client.vm.getOrCreate("events").connect();
  const counts: number[] = [];
  conn.on("counted", ({ count }) => void counts.push(count));
  await conn.add(1);
  await conn.add(1);
  await until(() => counts.length === 2);
  expect(counts).toEqual([1, 2]);
  await conn.dispose();
});

test("own state survives a sleep and is not mixed with the VM's own", async () => {
  const vm = client.vm.getOrCreate("state", { createWithInput: { labels: { tier: "gold" } } });
  expect(await vm.add(7)).toBe(7);
  await vm.writeFile("/home/agentos/x", "kept");
  await vm.nap();
  await until(() => seen.includes("sleep state 7"));
  expect(await vm.state()).toEqual({ count: 7, key: "state", tier: "gold" });
  expect(new TextDecoder().decode(await vm.readFile("/home/agentos/x"))).toBe("kept");
  expect(await failure(vm.storage())).toMatchObject({ code: "not_supported" });
});

test("the hooks of the actor's life run in order, each once", async () => {
  const vm = client.vm.getOrCreate("life", { createWithInput: { labels: { tier: "tin" } } });
  await vm.add(1);
  await vm.nap();
  await until(() => seen.includes("sleep life 1"));
  await vm.add(1);
  await vm.end();
  await until(() => seen.includes("destroy life"));
  const life = seen.filter((line) => / life/.test(line));
  expect(life).toEqual(["create life 0 tin", "wake life 0", "sleep life 1", "wake life 1", "destroy life"]);
  await until(async () => (await client.vm.list({ prefix: "life" })).vms.length === 0);
});

test("connections have the server's own state, and their hooks are told", async () => {
  const vm = client.vm.getOrCreate("conns");
  expect(await vm.who()).toEqual(["other", true, null]);
  await until(() => seen.includes("conns leaves as other"));
  expect(seen).toContain("conns connects as other");
});

test("onBeforeConnect refuses clients, and hides its own errors", async () => {
  expect(await failure(client.vm.getOrCreate("closed").count())).toMatchObject({ message: "no entry" });
  const hidden = await failure(client.vm.getOrCreate("broken").count());
  expect(hidden).toMatchObject({ code: "hook_failed" });
  expect(JSON.stringify(hidden) + hidden.message).not.toContain("secret");
});

test("a fork has state of its own", async () => {
  const vm = client.vm.getOrCreate("parent");
  await vm.add(9);
  await vm.writeFile("/home/agentos/x", "1");
  await vm.fork("child");
  const child = client.vm.getOrCreate("child");
  expect(await child.count()).toBe(0);
  expect(await child.exists("/home/agentos/x")).toBe(true);
});

test("an own action needs the right exec, or the one that the server names", async () => {
  await client.vm.getOrCreate("rights").add(1);
  const { token } = await client.tokens.create({ vms: "rights", may: ["read"] });
  const reader = clientOf(token);
  const vm = reader.vm.getOrCreate("rights");
  expect(await vm.count()).toBe(1);
  expect(await failure(vm.add(1))).toMatchObject({ code: "forbidden" });
  expect(await failure(vm.connect().add(1))).toMatchObject({ code: "forbidden" });
  await failure(vm.send("work", { by: 5 }));
  expect(await vm.count()).toBe(1);
  await reader.dispose();
});

test("messages of a queue arrive", async () => {
  const vm = client.vm.getOrCreate("queue");
  await vm.send("work", { by: 5 });
  await vm.send("work", { by: 6 });
  await until(async () => (await vm.count()) === 11);
});

test("an own action runs on RivetKit's schedule", async () => {
  const vm = client.vm.getOrCreate("later");
  await vm.later();
  await until(async () => (await vm.count()) === 100);
});

test("onRequest answers requests that are no previews", async () => {
  const response = await client.vm.getOrCreate("web").fetch("/hook?x=1", { method: "POST", body: "hi" });
  expect(await response.json()).toMatchObject({
    path: expect.stringContaining("/hook"),
    body: "hi",
    count: 0,
  });
  expect((await client.plain.getOrCreate("web").fetch("/hook")).status).toBe(404);
  expect((await client.vm.getOrCreate("web").fetch("/fetch/unknown")).status).not.toBe(200);
});

test("an own action's error, result and arguments are checked like those of the VM", async () => {
  const vm = client.vm.getOrCreate("errors");
  const hidden = await failure(vm.fails());
  expect(hidden).toMatchObject({ code: "internal_error" });
  expect(hidden.message).not.toContain("secret");
  expect(await failure(vm.bad())).toMatchObject({ code: "invalid_argument" });
  expect(await failure(vm.large())).toMatchObject({ code: "response_too_large" });
  expect(await failure(vm.connect().action({ name: "missing", args: [] }))).toMatchObject({
    code: "action_not_found",
  });
});

test.each([
  "exec",
  "beginCall",
  "beginCalls",
  "ringCron",
  "readFork",
  "connect",
  "then",
  "constructor",
  "run",
])("the action name %s is reserved", (name) => {
  expect(() => defineVm({ actions: Object.fromEntries([[name, () => 1]]) })).toThrow(
    `vmActor() action name is reserved: ${name}`,
  );
});

test.each<[object, string]>([
  [{ options: { noSuch: 1 } }, "Unknown option `options.noSuch` of vmActor"],
  [{ options: { actionTimeout: -1 } }, "Expected `options.actionTimeout` to be a positive integer"],
  [{ rights: { missing: "read" } }, "Unknown option `rights.missing` of vmActor"],
  [{ actions: { a: 5 } }, "Expected `actions.a` to be a function"],
  [{ onVmStart: 5 }, "Expected `onVmStart` to be a function"],
  [{ state: 1, createState: () => 1 }, "vmActor takes `state` or `createState`, not both"],
])("refuses the malformed part %j", (parts, message) => {
  expect(() => defineVm(parts as never)).toThrow(message);
});

test("the name of an event of the VM is reserved", () => {
  expect(() => defineVm({ events: { processExit: event<string>() } })).toThrow(
    "vmActor() event name is reserved: processExit",
  );
});
