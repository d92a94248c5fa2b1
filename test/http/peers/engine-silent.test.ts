import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { EngineActors } from "../../../src/http/peers/engine-actors.ts";
import { PeerSeal } from "../../../src/http/peers/seal.ts";
import { askedSchema } from "../../../src/http/tokens/shared/messages.ts";
import { TokenDesk } from "../../../src/http/tokens/shared/token-desk.ts";

const seal = new PeerSeal(Buffer.alloc(32, 1));
const NAME = { name: "vm", key: ["one"] };

/** Starts an engine that never answers the first request of each kind, as in its first moments. */
async function startSilent() {
  const asked: string[] = [];
  const engine = createServer(async (request, response) => {
    const body = await text(request);
    const kind = `${request.method} ${request.url?.split("?")[0]}`;
    asked.push(kind);
    if (asked.indexOf(kind) === asked.length - 1) return;
    response.setHeader("content-type", "application/json");
    const actor = { actor_id: "one", name: "vm", key: "one" };
    if (request.method === "GET") response.end(JSON.stringify({ actors: [actor], runners: [] }));
    else if (request.method === "PUT") response.end(JSON.stringify({ actor }));
    else {
      const { nonce } = seal.open("tokens", body, askedSchema) ?? {};
      response.end(seal.seal("tokens answer", { nonce, result: { epoch: "e", after: 0, tokens: [] } }));
    }
  }).listen(0, "127.0.0.1");
  onTestFinished(() => {
    engine.closeAllConnections();
    engine.close();
  });
  await once(engine, "listening");
  const endpoint = `http://127.0.0.1:${(engine.address() as AddressInfo).port}`;
  const server = { endpoint, token: undefined, namespace: "default", runnerName: "default", headers: {} };
  return { asked, actors: new EngineActors({ ...server, encoding: "json" }) };
}

test("a question that an engine never answers is asked again, unless it makes something", async () => {
  const { asked, actors } = await startSilent();
  const desk = new TokenDesk(actors, seal);
  const made = actors.make("POST", NAME);
  made.catch(() => undefined);
  await Promise.all([
    expect(actors.look("x")).resolves.toEqual(NAME),
    expect(actors.make("PUT", NAME)).resolves.toBe("one"),
    expect(desk.revoked("e", 0)).resolves.toEqual({ epoch: "e", after: 0, tokens: [] }),
  ]);
  expect(asked.filter((kind) => kind === "POST /actors")).toHaveLength(1);
});
