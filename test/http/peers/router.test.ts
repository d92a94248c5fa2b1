// @module-tag attack
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import net, { type AddressInfo } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { UNLIMITED } from "../../../src/http/grant.ts";
import { PeerRouter } from "../../../src/http/peers/router.ts";
import { Strangers } from "../../../src/http/strangers.ts";
import { idOf, previewOf, startFront, VM } from "../../support/front.ts";
import { listen } from "../../support/listen.ts";

vi.mock("../../../src/http/peers/limits.ts", async (load) => ({
  ...(await load<typeof import("../../../src/http/peers/limits.ts")>()),
  MAX_STRANGER_QUESTIONS: 2,
  MAX_STRANGER_QUESTIONS_WAITING: 3,
  MAX_PEER_QUESTIONS: 2,
  MAX_STRANGER_WAKES: 2,
  PEER_WAKE_MS: 1_500,
}));

const FORBIDDEN = () => ((_request, response) => void response.writeHead(403).end()) as RequestListener;

test("asks the engine about ids only, and once about an actor that it does not know", async () => {
  const { url, engine } = await startFront(FORBIDDEN);
  for (const actorId of ["short", idOf(7).toUpperCase(), `${idOf(7)}a`])
    expect(await (await fetch(url + previewOf(actorId))).text()).toBe("passed");
  expect(engine.asked).toEqual([]);
  for (let count = 0; count < 3; count++)
    expect(await (await fetch(url + previewOf(idOf(7)))).text()).toBe("passed");
  expect(engine.asked).toEqual([idOf(7)]);
});

test("refuses previews of unknown actors past a few, and answers other questions meanwhile", async () => {
  const { url, engine, actors } = await startFront(FORBIDDEN);
  engine.holds = (actorId) => actorId !== VM;
  const looks = vi.spyOn(actors, "lookForStranger");
  const held = Array.from({ length: 5 }, () => net.connect(Number(new URL(url).port), "127.0.0.1"));
  for (const [index, socket] of held.entries()) {
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => undefined);
    socket.write(`GET ${previewOf(idOf(10 + index))} HTTP/1.1\r\nHost: x\r\n\r\n`);
  }
  await expect.poll(() => looks.mock.calls.length, { interval: 5 }).toBe(5);
  const surplus = await fetch(url + previewOf(idOf(99)));
  expect([surplus.status, await surplus.text()]).toEqual([
    429,
    expect.stringContaining("MAX_STRANGER_QUESTIONS_WAITING"),
  ]);
  expect(engine.asked).not.toContain(idOf(99));
  expect(await actors.look(VM)).toEqual({ name: "vm", key: ["one"] });
});

test("each question to a VM that does not answer ends", async () => {
  const { engine, places } = await startFront(FORBIDDEN);
  engine.holds = (actorId) => actorId !== VM;
  const late = Array.from({ length: 4 }, (_, index) => places.locate(idOf(30 + index)));
  for (const result of await Promise.allSettled(late))
    expect(result).toMatchObject({ reason: { code: "vm_stopped" } });
  // The questions that waited until the end were never asked.
  expect(new Set(engine.asked.filter((actorId) => Number(actorId.slice(-2)) >= 30)).size).toBe(2);
});

test("previews of VMs that do not wake leave places to requests with access, and are refused past a few", async () => {
  const { engine, places } = await startFront(FORBIDDEN);
  engine.holds = (actorId) => actorId !== VM;
  const strange = Array.from({ length: 5 }, (_, index) =>
    places.locate(idOf(40 + index), { isStrange: true }),
  );
  const settled = Promise.allSettled(strange);
  await expect(places.locate(idOf(50), { isStrange: true })).rejects.toMatchObject({
    code: "limit_exceeded",
    metadata: { limit: "MAX_STRANGER_QUESTIONS_WAITING" },
  });
  expect(await places.locate(VM)).toMatchObject({ server: "b" });
  for (const result of await settled) expect(result).toMatchObject({ reason: { code: "vm_stopped" } });
});

test("asks again when a question was answered before the VM left, and keeps a newer answer", async () => {
  const { engine, places } = await startFront(FORBIDDEN);
  const first = places.locate(VM);
  // The answer of this question is older than the refusal of the server.
  const second = places.locate(VM, { left: "b" });
  await Promise.all([first, second]);
  expect(engine.asked).toEqual([VM, VM]);
  places.forget(VM, "an older server");
  expect(places.known(VM)).toMatchObject({ server: "b" });
});

test("counts a client as one without access until the VM has taken its token, whatever the answer is", async () => {
  const { url, admitted } = await startFront((strangers) => (request, response) => {
    const [path = "", status] = (request.url ?? "").split("/").slice(-2);
    if (path === "open") strangers.of(request.socket).admit(UNLIMITED);
    response.writeHead(Number(status)).end();
  });
  for (const status of [204, 307, 401, 403, 429, 502, 503, 200]) {
    const refused = await fetch(url + previewOf(VM, `closed/${status}`), { redirect: "manual" });
    expect([refused.status, admitted.mock.calls.length]).toEqual([status, 0]);
  }
  for (const status of [200, 304, 404, 500]) {
    admitted.mockClear();
    const answered = await fetch(url + previewOf(VM, `open/${status}`));
    expect([answered.status, admitted.mock.calls.length]).toEqual([status, 1]);
  }
});

test("tries a request once more that has not begun, and then gives up", async () => {
  const { url, engine, moves } = await startFront(
    () => (_request, response) => void response.end("from the VM"),
  );
  moves.push(true);
  expect(await (await fetch(url + previewOf(VM))).text()).toBe("from the VM");
  // The id, and twice the place.
  expect(engine.asked).toEqual([VM, VM, VM]);
  moves.push(true, true);
  expect(await (await fetch(url + previewOf(VM))).text()).toContain("connection_lost");
  expect(moves).toEqual([]);
});

test("a client that leaves before the server answers takes the place of the VM from nobody", async () => {
  const silent = net.createServer((socket) => void socket.on("error", () => undefined).resume());
  await once(silent.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void silent.close());
  const { url, places } = await startFront(
    FORBIDDEN,
    async () => `http://127.0.0.1:${(silent.address() as AddressInfo).port}`,
  );
  const client = net.connect(Number(new URL(url).port), "127.0.0.1");
  client.write(`GET ${previewOf(VM)} HTTP/1.1\r\nHost: x\r\n\r\n`);
  const [question] = (await once(silent, "connection")) as [net.Socket];
  client.destroy();
  await once(question, "close");
  expect(places.known(VM)).toMatchObject({ server: "b" });
});

test("cuts what it serves itself, also a request that waits behind another on its connection", async () => {
  const router = new PeerRouter({
    ...{ access: { policy: {} }, strangers: new Strangers(), isVm: () => true },
    ...{ here: async () => ({}), admit: async () => undefined },
  } as never);
  const server = createServer((request, response) => {
    if (request.url?.endsWith("fast")) response.end();
    else router.cutServed();
  });
  router.guard(server);
  const socket = net.connect(Number(new URL(await listen(server)).port), "127.0.0.1").resume();
  const get = (path: string) => `GET /gateway/${VM}/${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
  socket.write(get("fast") + get("slow"));
  await once(socket, "close");
});
