// @module-tag attack
import { once } from "node:events";
import { expect, test, vi } from "vitest";
import { MAX_MESSAGE_BYTES } from "../../src/api/limits.ts";
import { makeActor } from "../support/plain-actor.ts";
import { startTestServer, type TestServer } from "../support/servers.ts";
import { wsClient } from "../support/ws-client.ts";

async function connect({ endpoint }: TestServer, actorId: string): Promise<WebSocket> {
  const url = `${endpoint.replace("http", "ws")}/gateway/${actorId}/connect`;
  const socket = new WebSocket(url, ["rivet", "rivet_encoding.json", "rivet_conn_params.%7B%7D"]);
  await new Promise((resolve) => socket.addEventListener("open", resolve, { once: true }));
  return socket;
}

const closed = (socket: WebSocket) =>
  new Promise<CloseEvent>((resolve) => socket.addEventListener("close", resolve, { once: true }));

const keys = Object.fromEntries(Array.from({ length: 200_000 }, (_, index) => [`k${index}`, "v"]));

test("a request with too many keys is refused before it is decoded, and a body that is too large", async () => {
  const server = await startTestServer({ kind: "fake" });
  const actorId = await makeActor(server);
  const post = (body: string) =>
    fetch(`${server.endpoint}/gateway/${actorId}/action/exec`, { method: "POST", body });
  const refused = await post(JSON.stringify({ args: ["true", { env: keys }] }));
  expect(refused.status).toBe(400);
  expect(await refused.json()).toMatchObject({
    code: "invalid_argument",
    message: expect.stringContaining("MAX_CALL_KEYS"),
  });
  // An integer of many bytes in CBOR.
  const input = Buffer.concat([Buffer.from("c25a0000c000", "hex"), Buffer.alloc(0xc000)]).toString("base64");
  const made = { name: "vm", key: "input", input, runner_name_selector: "default", crash_policy: "sleep" };
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify(made);
  const unmade = await fetch(`${server.endpoint}/actors`, { method: "PUT", headers, body });
  expect(await unmade.json()).toMatchObject({ code: "invalid_argument" });
  const large = await post(JSON.stringify({ args: ["x".repeat(33 << 20)] })).then(
    async (response) => (await response.json()) as unknown,
    // The server closes the connection before it has read the body.
    () => ({ code: "invalid_argument" }),
  );
  expect(large).toMatchObject({ code: "invalid_argument" });
  expect((await fetch(`${server.endpoint}/health`)).status).toBe(200);
});

test("a WebSocket is closed for a message with too many keys, and the client's own check names the limit", async () => {
  const server = await startTestServer({ kind: "fake" });
  const socket = await connect(server, await makeActor(server));
  const body = { tag: "ActionRequest", val: { id: 0, name: "exec", args: ["true", { env: keys }] } };
  socket.send(JSON.stringify({ body }));
  expect(await closed(socket)).toMatchObject({ code: 1009, reason: "user.invalid_argument" });
  const vm = server.client().vm.getOrCreate("flood");
  await expect(vm.exec("true", { env: keys })).rejects.toMatchObject({
    code: "invalid_argument",
    message: expect.stringContaining("MAX_CALL_KEYS"),
  });
});

test("a connection that floods the server with subscriptions is closed, and requests between them are answered", async () => {
  const server = await startTestServer({ kind: "fake" });
  const socket = await connect(server, await makeActor(server));
  let answers = 0;
  socket.addEventListener("message", () => {
    answers += 1;
  });
  for (let index = 0; index < 20_000; index++) {
    const val = { eventName: `e${index}`, subscribe: true };
    socket.send(JSON.stringify({ body: { tag: "SubscriptionRequest", val } }));
  }
  const end = closed(socket);
  expect((await fetch(`${server.endpoint}/health`)).status).toBe(200);
  await end;
  // The server handles nothing after it has closed.
  expect(answers).toBeLessThan(200);
});

test("a message that is too large closes the connection and writes nothing to the console", async () => {
  const server = await startTestServer({ kind: "fake" });
  const actorId = await server.client().vm.getOrCreate("a").resolve();
  const url = `${server.endpoint.replace("http", "ws")}/gateway/${actorId}/connect`;
  const written = vi.spyOn(console, "error");
  const socket = wsClient(url, ["rivet", "rivet_encoding.bare", "rivet_conn_params.%7B%7D"]);
  await once(socket, "open");
  socket.send(new Uint8Array(MAX_MESSAGE_BYTES + 2 * 1024 * 1024));
  const [code] = (await once(socket, "close")) as [number];
  expect(code).toBe(1009);
  expect(written).not.toHaveBeenCalled();
  written.mockRestore();
});
