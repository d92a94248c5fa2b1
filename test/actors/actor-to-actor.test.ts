import { actor, event, queue, type Registry } from "rivetkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { defineVm } from "../../src/actors/define-vm.ts";
import type { VmActor } from "../../src/actors/vm-actor.ts";
import { createClient } from "../../src/client/index.ts";
import { listen, type RunningServer } from "../../src/http/listen.ts";
import { createLogger } from "../../src/http/logger.ts";
import { setup } from "../../src/http/setup.ts";
import { fakeVms } from "../support/fake-vm.ts";
import { freePort } from "../support/free-port.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

/** Another actor of the server, which uses a VM. */
const orchestrator = actor({
  events: { pair: event<[number, string]>() },
  queues: { jobs: queue<{ id: number }>() },
  actions: {
    overHttp: async (c) => {
      const agent = c.client<Registry<{ vm: VmActor }>>().vm.getOrCreate("worker");
      return (await agent.exec("echo hi")).stdout;
    },
    overConnection: async (c) => {
      const connection = c.client<Registry<{ vm: VmActor }>>().vm.getOrCreate("worker").connect();
      const { stdout } = await connection.exec("echo hi");
      await connection.dispose();
      return stdout;
    },
    tell: (c) => c.broadcast("pair", 1, "one"),
    nextJob: async (c) => (await c.queue.next({ names: ["jobs"], timeout: 1000 }))?.body,
    greet: (_c, name: string) => `hello ${name}`,
    readFile: (_c, name: string) => `not a file: ${name}`,
  },
});

const registry = setup({
  use: { vm: defineVm({}, { createVm: fakeVms().create }), orchestrator },
  token: "t0ken",
  port: await freePort(),
  dataDir: temporaryFolder(),
  logger: createLogger("silent"),
});
const client = () =>
  createClient<typeof registry>({
    endpoint: `http://127.0.0.1:${registry.config.managerPort}`,
    token: "t0ken",
    vms: ["vm"],
  });

let server: RunningServer;
beforeAll(async () => {
  server = await listen(registry);
});
afterAll(() => server.close());

test("actors of a server with a token use its VMs without the token", async () => {
  const { orchestrator: actors } = client();
  expect(await actors.getOrCreate("o").overHttp()).toBe("hi\n");
  expect(await actors.getOrCreate("o").overConnection()).toBe("hi\n");
});

test("the client calls actors that are not VMs", async () => {
  const handle = client().orchestrator.getOrCreate("o");
  expect(await handle.greet("you")).toBe("hello you");
  expect(await handle.readFile("x")).toBe("not a file: x");
  const connection = handle.connect();
  expect(await connection.greet("you")).toBe("hello you");
  expect(await Promise.all([connection.greet("a"), connection.greet("b")])).toEqual(["hello a", "hello b"]);
  const pair = new Promise((resolve) => void connection.once("pair", (...args) => resolve(args)));
  await connection.tell();
  expect(await pair).toEqual([1, "one"]);
  await handle.send("jobs", { id: 7 });
  expect(await handle.nextJob()).toEqual({ id: 7 });
  await connection.dispose();
});
