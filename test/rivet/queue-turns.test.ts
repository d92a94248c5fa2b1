import { createClient } from "rivetkit/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { listen, type RunningServer, setup } from "../../src/index.ts";
import { actor, queue } from "../../src/rivetkit.ts";
import { freePort } from "../support/free-port.ts";
import { dataFolder } from "../support/temporary-folder.ts";
import { until } from "../support/until.ts";

const MESSAGES = 30;
const READERS = 3;

const received: number[] = [];
const reader = actor({
  queues: { work: queue<{ id: number }>() },
  async run(c) {
    const read = async () => {
      for await (const { body } of c.queue.iter()) received.push(body.id);
    };
    await Promise.all(Array.from({ length: READERS }, read));
  },
  actions: { wake: () => undefined },
});

let server: RunningServer;
let endpoint = "";

beforeAll(async () => {
  const port = await freePort();
  const registry = setup({ use: { reader }, port, dataDir: dataFolder() });
  server = await listen(registry);
  ({ endpoint } = server);
});

afterAll(() => server.close());

test("each message of a queue reaches one of several readers once, however many arrive together", async () => {
  const client = createClient<ReturnType<typeof setup<{ reader: typeof reader }>>>({
    endpoint,
    disableMetadataLookup: true,
  });
  const handle = client.reader.getOrCreate("one");
  await handle.wake();
  const ids = Array.from({ length: MESSAGES }, (_, id) => id);
  await Promise.all(ids.map((id) => handle.send("work", { id })));
  await until(() => received.length >= MESSAGES);
  expect(received.toSorted((one, other) => one - other)).toEqual(ids);
  await client.dispose();
});
