import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { EngineActors } from "../../../src/http/peers/engine-actors.ts";
import { EngineList } from "../../../src/http/peers/engine-list.ts";

interface Made {
  actor_id: string;
  name: string;
  key: string;
  create_ts: number;
  sleep_ts: number;
}

/** Makes actors of which `together` were made in each millisecond, the newest first. */
function made(count: number, together: number): Made[] {
  return Array.from({ length: count }, (_, index) => ({
    // The engine lists actors of one millisecond in no order of their ids.
    actor_id: `id-${(index * 7) % count}`,
    ...{ name: "vm", key: `vm-${index}`, create_ts: 10_000 - Math.floor(index / together), sleep_ts: 1 },
  }));
}

/**
 * Starts what lists actors like the engine: those made before the cursor, which is the time of the last one.
 *
 * @param isLost says of an actor that it is destroyed while the engine lists it
 */
async function listOf(actors: Made[], isLost: (actor: Made) => boolean = () => false) {
  const engine = createServer(({ url = "" }, response) => {
    const { pathname, searchParams } = new URL(url, "http://engine");
    const missing = { group: "actor", code: "kv_key_not_found", message: "The KV key does not exist." };
    response.writeHead(pathname === "/actors" ? 200 : 404, { "content-type": "application/json" });
    if (pathname !== "/actors") return void response.end(JSON.stringify(missing));
    const before = Number(searchParams.get("cursor") ?? Number.POSITIVE_INFINITY);
    const listed = actors
      .filter(({ create_ts: madeAt }) => madeAt < before)
      .slice(0, Number(searchParams.get("limit")));
    response.end(JSON.stringify({ actors: listed.filter((actor) => !isLost(actor)) }));
  });
  await new Promise<void>((done) => engine.listen(0, "127.0.0.1", done));
  onTestFinished(() => {
    engine.closeAllConnections();
    engine.close();
  });
  const endpoint = `http://127.0.0.1:${(engine.address() as AddressInfo).port}`;
  const settings = { token: undefined, namespace: "default", runnerName: "default", headers: {} };
  const server = { ...settings, endpoint, encoding: "json" as const };
  const list = new EngineList(new EngineActors(server), {
    forList: () => ({ of: async () => ({}), isOver: false }),
  });
  return async (limit: number) => {
    const keys: string[] = [];
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await list.list("vm", { limit, use: false, ...(cursor && { cursor }) }, () => true);
      keys.push(...page.vms.flatMap(({ key }) => key));
      cursor = page.cursor;
    }
    return keys;
  };
}

const sorted = (actors: readonly Made[]) => actors.map(({ key }) => key).sort();

test.each([1, 7, 130])(
  "pages have each VM once if %i VMs were made in each millisecond",
  async (together) => {
    const actors = made(150, together);
    const list = await listOf(actors);
    expect((await list(40)).sort()).toEqual(sorted(actors));
  },
);

test("a VM that is destroyed while the engine lists it does not end the list", async () => {
  const actors = made(130, 2);
  const gone = actors[50];
  const list = await listOf(actors, (actor) => actor === gone);
  expect((await list(1_000)).sort()).toEqual(sorted(actors.filter((actor) => actor !== gone)));
});
