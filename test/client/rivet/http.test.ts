import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { serverOf } from "../../../src/client/rivet/config.ts";
import { findActors, makeActor } from "../../../src/client/rivet/http.ts";

/** Starts a server that cuts every other connection at its first request. */
async function startCutter(answer: object) {
  const methods: unknown[] = [];
  const server = createServer((request, response) => {
    methods.push(request.method);
    request.resume();
    if (methods.length % 2 === 1) return void request.socket.destroy();
    response.writeHead(200, { "content-type": "application/json", connection: "close" });
    response.end(JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { methods, server: serverOf({ endpoint }) };
}

test("a lookup is sent again if the server has closed the connection that was kept for it", async () => {
  const { methods, server } = await startCutter({ actors: [], actor: { actor_id: "a" } });
  expect(await findActors(server, {})).toEqual([]);
  expect(await makeActor(server, "PUT", { name: "vm", key: ["a"] })).toBe("a");
  expect(methods).toEqual(["GET", "GET", "PUT", "PUT"]);
});

test("a creation is not sent again, because the server may have made the VM", async () => {
  const { methods, server } = await startCutter({ actor: { actor_id: "a" } });
  const creation = makeActor(server, "POST", { name: "vm", key: ["a"] });
  await expect(creation).rejects.toThrow(/^The server at http:\/\/127.0.0.1:\d+ cannot be reached/);
  expect(methods).toEqual(["POST"]);
});
