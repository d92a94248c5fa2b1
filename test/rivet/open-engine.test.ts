import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { isEngineOpen } from "../../src/rivet/open-engine.ts";
import { freePort } from "../support/free-port.ts";

/** Starts a server whose answers have one status. @returns its URL, and the requests that it got */
async function engineWith(status: number) {
  const asked: { url: string | undefined; token: string | undefined }[] = [];
  const server = createServer(({ url, headers }, response) => {
    asked.push({ url, token: headers.authorization });
    response.writeHead(status).end("{}");
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, asked };
}

test("an engine is open if it lists actors without a token", async () => {
  const open = await engineWith(200);
  expect(await isEngineOpen(`http://team:secret@127.0.0.1:${open.port}`)).toBe(true);
  expect(open.asked).toEqual([{ url: "/actors?namespace=team&name=vm&limit=1", token: undefined }]);
  const closed = await engineWith(401);
  expect(await isEngineOpen(`http://127.0.0.1:${closed.port}`)).toBe(false);
});

test("the question ends if the engine does not answer, or only says that it starts", async () => {
  const starting = await engineWith(503);
  const soon = { waitMs: 200 };
  expect(await isEngineOpen(`http://127.0.0.1:${starting.port}`, soon)).toBeUndefined();
  expect(starting.asked.length).toBeGreaterThan(0);
  expect(await isEngineOpen(`http://127.0.0.1:${await freePort()}`, soon)).toBeUndefined();
});
