import { afterAll, beforeAll, expect, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import { createLogger } from "../../src/http/logger.ts";
import { listen, setup, vmActor } from "../../src/index.ts";
import { freePort } from "../support/free-port.ts";
import { dataFolder } from "../support/temporary-folder.ts";

const registry = setup({
  use: {
    vm: vmActor({
      runtime: "memory",
      createVars: () => ({ list: Array.from({ length: 3_000 }, (_item, at) => `${at}`.padEnd(1_000, "x")) }),
      actions: {
        history: (c) => c.vars.list,
        say: (c, text: string) => c.vars.list.push(text),
      },
    }),
  },
  port: await freePort(),
  dataDir: dataFolder(),
  logger: createLogger("silent"),
});

let server: Awaited<ReturnType<typeof listen>>;
beforeAll(async () => {
  server = await listen(registry);
});
afterAll(() => server.close());

test.each(["bare", "cbor", "json"] as const)(
  "a large result of an own action arrives whole while another call changes it, as %s",
  async (encoding) => {
    await using client = createClient<typeof registry>({ endpoint: server.endpoint, encoding });
    const handle = client.vm.getOrCreate("live");
    await using reader = handle.connect();
    await using other = client.vm.getOrCreate("live").connect();
    let isOver = false;
    const talk = (async () => {
      while (!isOver) await other.say("late");
    })();
    for (const from of [handle, reader, handle, reader]) {
      const list = await from.history();
      expect(list.length).toBeGreaterThanOrEqual(3_000);
      expect(list.every((text) => text === "late" || text.length === 1_000)).toBe(true);
    }
    isOver = true;
    await talk;
  },
);
