import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { EngineActors } from "../../../src/http/peers/engine-actors.ts";
import { EngineList } from "../../../src/http/peers/engine-list.ts";

test("a list leaves out a VM that is destroyed while it is made", async ({ onTestFinished }) => {
  const actors = ["kept", "gone"].map((key) => ({
    actor_id: key,
    name: "vm",
    key,
    sleep_ts: 1,
    create_ts: 1,
  }));
  const engine = createServer(({ url = "" }, response) => {
    const gone = { group: "actor", code: "not_found", message: "The actor does not exist or was destroyed." };
    const missing = { group: "actor", code: "kv_key_not_found", message: "The KV key does not exist." };
    const isList = url.startsWith("/actors?");
    response.writeHead(isList ? 200 : 404, { "content-type": "application/json" });
    response.end(JSON.stringify(isList ? { actors } : url.startsWith("/actors/gone/") ? gone : missing));
  });
  await new Promise<void>((done) => engine.listen(0, "127.0.0.1", done));
  onTestFinished(() => void engine.close());
  const server = {
    endpoint: `http://127.0.0.1:${(engine.address() as AddressInfo).port}`,
    ...{
      token: undefined,
      namespace: "default",
      runnerName: "default",
      encoding: "json" as const,
      headers: {},
    },
  };
  const list = new EngineList(new EngineActors(server), {
    forList: () => ({ of: async () => ({}), isOver: false }),
  });
  const { vms } = await list.list("vm", { limit: 10, use: false }, () => true);
  expect(vms.map(({ key }) => key)).toEqual([["kept"]]);
});
