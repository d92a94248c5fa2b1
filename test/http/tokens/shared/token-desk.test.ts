import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { EngineActors } from "../../../../src/http/peers/engine-actors.ts";
import { PeerSeal } from "../../../../src/http/peers/seal.ts";
import { askedSchema } from "../../../../src/http/tokens/shared/messages.ts";
import { TokenDesk } from "../../../../src/http/tokens/shared/token-desk.ts";
import { failure } from "../../../support/until.ts";

const seal = new PeerSeal(Buffer.alloc(32, 1));

/** A desk whose questions another server answers with an error. */
async function refusing(code: string): Promise<TokenDesk> {
  const engine = createServer(async (request, response) => {
    const body = await text(request);
    if (request.method === "PUT") {
      response.end(JSON.stringify({ actor: { actor_id: "tokens" } }));
      return;
    }
    const asked = seal.open("tokens", body, askedSchema);
    const error = { code, message: "Not today", metadata: { day: 2 } };
    response.end(seal.seal("tokens answer", { nonce: asked?.nonce, error }));
  }).listen(0, "127.0.0.1");
  onTestFinished(() => void engine.close());
  await once(engine, "listening");
  const endpoint = `http://127.0.0.1:${(engine.address() as AddressInfo).port}`;
  const server = { endpoint, token: undefined, namespace: "default", runnerName: "default", headers: {} };
  return new TokenDesk(new EngineActors({ ...server, encoding: "json" }), seal);
}

test.each([
  ["token_not_found", { code: "token_not_found", metadata: { day: 2 } }],
  ["code_of_tomorrow", { code: "unknown_error", metadata: { day: 2, code: "code_of_tomorrow" } }],
  ["toString", { code: "unknown_error", metadata: { day: 2, code: "toString" } }],
])("a server passes on the error %s of another server", async (code, expected) => {
  const desk = await refusing(code);
  expect(await failure(desk.ask({ method: "isMadeAs", id: "x", label: "y" }))).toMatchObject({
    name: "AgentVmError",
    message: "Not today",
    ...expected,
  });
});
