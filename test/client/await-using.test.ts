import { expect, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";

/** The source is a text, so that Node itself runs `await using`, and no compiled form of it. */
const inBlock = new Function("opened", "return (async () => { await using closed = opened; })()") as (
  opened: unknown,
) => Promise<void>;

test.each(["client", "connection"])("Node's own `await using` closes a %s", async (kind) => {
  const client = createClient<typeof registry>({ endpoint: "http://127.0.0.1:1" });
  const connection = client.vm.getOrCreate("await-using").connect();
  await inBlock(kind === "client" ? client : connection);
  await expect(connection.exec("true")).rejects.toMatchObject({ code: "connection_lost" });
  await client.dispose();
});
