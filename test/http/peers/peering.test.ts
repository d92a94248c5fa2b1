import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import type { Server as EngineConfig } from "../../../src/client/rivet/config.ts";
import { Peering } from "../../../src/http/peers/peering.ts";

/** Whether the engine gives no sign of life. */
const contact = vi.hoisted(() => ({ isCutOff: false }));

vi.mock("../../../src/rivet/engine-contact.ts", async (load) => ({
  ...(await load<typeof import("../../../src/rivet/engine-contact.ts")>()),
  isCutOff: () => contact.isCutOff,
}));

test("a server that is cut off from the engine does not say how its VMs are, which the engine may have started elsewhere", async () => {
  const awake = [{ actor_id: "one", name: "vm", key: "one", create_ts: 1, connectable_ts: 2 }];
  const engine = createServer(({ url = "" }, response) => {
    const { pathname, searchParams } = new URL(url, "http://engine");
    const missing = { group: "actor", code: "kv_key_not_found", message: "The KV key does not exist." };
    response.writeHead(pathname.includes("/kv/") ? 404 : 200, { "content-type": "application/json" });
    const actors = searchParams.has("cursor") ? [] : awake;
    response.end(JSON.stringify(pathname.includes("/kv/") ? missing : { actors, runners: [] }));
  });
  await once(engine.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    engine.closeAllConnections();
    engine.close();
  });
  const endpoint = `http://127.0.0.1:${(engine.address() as AddressInfo).port}`;
  const secret = new TextEncoder().encode("a secret of all servers behind one engine");
  const { list } = new Peering(
    { secret, ca: undefined, listener: undefined },
    { endpoint, namespace: "default", headers: {} } as EngineConfig,
    {
      isAwake: () => true,
      factsOf: async () => ({ state: "awake", processes: 1, lastUsedAt: 3, labels: {}, storedBytes: 1 }),
    },
  );
  const states = async () =>
    (await list.list("vm", { limit: 10, use: false }, () => true)).vms.map(({ state }) => state);
  expect(await states()).toEqual(["awake"]);
  contact.isCutOff = true;
  expect(await states()).toEqual(["sleeping"]);
});
