// @module-tag attack
import { once } from "node:events";
import { createServer } from "node:http";
import net, { type AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { UNLIMITED } from "../../src/http/grant.ts";
import { HttpGate } from "../../src/http/http-gate.ts";

test("nobody behind the gate sees an offer of another protocol that is not an upgrade", async () => {
  const server = createServer(({ headers, rawHeaders }, response) =>
    response.end(JSON.stringify([headers["x-other"], headers.upgrade ?? "none", rawHeaders])),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  new HttpGate(async () => UNLIMITED, { request: () => false, upgrade: () => false }, {}).guard(server);
  const client = net.connect((server.address() as AddressInfo).port, "127.0.0.1");
  client.write(
    "GET /actors HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nuPGRADE: h2c\r\nX-Other: kept\r\nConnection: close\r\n\r\n",
  );
  const answer = Buffer.concat(await client.toArray()).toString();
  expect(JSON.parse(answer.slice(answer.indexOf("["), answer.lastIndexOf("]") + 1))).toEqual([
    "kept",
    "none",
    ["Host", "x", "X-Other", "kept", "Connection", "close"],
  ]);
});
