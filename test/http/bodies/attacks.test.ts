// @module-tag attack
import { randomBytes, randomUUID } from "node:crypto";
import { request as httpRequest, type IncomingMessage } from "node:http";
import net from "node:net";
import { beforeAll, expect, test } from "vitest";
import { FETCH_HEADER } from "../../../src/api/fetch-head.ts";
import type { VmHandle } from "../../../src/client/index.ts";
import { startTestServer, type TestServer } from "../../support/servers.ts";
import { failure, until } from "../../support/until.ts";

const MIB = 1024 * 1024;
const TOKEN = "administrator's token";
let server: TestServer;
let vm: VmHandle;
let path: string;
beforeAll(async () => {
  server = await startTestServer({ kind: "kernel", vm: { runtime: "memory" }, options: { token: TOKEN } });
  const admin = server.client({ token: TOKEN });
  vm = admin.vm.getOrCreate("alice");
  await vm.writeFile("/secret", new Uint8Array(2 * MIB).fill(65));
  await admin.vm.getOrCreate("bob").writeFile("/own", "x");
  path = `/gateway/${await vm.resolve()}/request/bytes`;
  return () => server.stop();
});

interface Answer {
  status: number;
  body: string;
  code: string | undefined;
}

async function ask(
  method: string,
  target: string,
  {
    token = TOKEN,
    headers = {},
    body,
  }: { token?: string; headers?: Record<string, string>; body?: Uint8Array } = {},
): Promise<Answer> {
  const sent = body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> };
  const presented = token === "" ? {} : { "x-rivet-token": token };
  const response = await fetch(server.endpoint + target, {
    method,
    headers: { ...presented, ...headers },
    redirect: "manual",
    ...sent,
  });
  const text = await response.text();
  let code: string | undefined;
  try {
    code = JSON.parse(text).code;
  } catch {
    // Not an error.
  }
  return { status: response.status, body: text, code };
}

const tokenOf = async (key: string, may: string[]) => {
  const { token } = await server
    .client({ token: TOKEN })
    .tokens.create({ vms: key, may: may as never, expiresIn: 60 });
  return token;
};
const beginRead = async (): Promise<string> =>
  ((await vm.action({ name: "beginFileRead", args: ["/secret", 1024] })) as { transferId: string })
    .transferId;
const beginWrite = async (file: string, size?: number): Promise<string> =>
  ((await vm.action({ name: "beginFileWrite", args: [file, size] })) as { transferId: string }).transferId;
const end = (transferId: string) => vm.action({ name: "endFileTransfer", args: [transferId] });
const fetchHead = (...args: unknown[]) => ({
  [FETCH_HEADER]: Buffer.from(JSON.stringify(args)).toString("base64url"),
});

test("no token, a wrong token and the token of another VM are refused", async () => {
  const id = await beginRead();
  expect(await ask("GET", `${path}/transfer/${id}?offset=0`, { token: "" })).toMatchObject({ status: 401 });
  expect(await ask("GET", `${path}/transfer/${id}?offset=0`, { token: "wrong" })).toMatchObject({
    status: 401,
  });
  const bobs = await tokenOf("bob", ["files", "network"]);
  for (const [method, target] of [
    ["GET", `/transfer/${id}?offset=0`],
    ["PUT", `/transfer/${id}?offset=0`],
    ["POST", "/fetch"],
  ] as const) {
    const headers = fetchHead(80, "/");
    expect(await ask(method, path + target, { token: bobs, headers })).toMatchObject({
      status: 404,
      code: "actor_not_found",
    });
  }
  const own = server.client({ token: bobs }).vm.get("bob");
  const bobsPath = `/gateway/${await own.resolve()}/request/bytes`;
  // The id of another VM's transfer means nothing in bob's VM.
  expect(await ask("GET", `${bobsPath}/transfer/${id}?offset=0`, { token: bobs })).toMatchObject({
    code: "transfer_not_found",
  });
  await end(id);
});

test("each right opens its own bodies only", async () => {
  const [readId, writeId] = [await beginRead(), await beginWrite("/written", 3)];
  const read = (token: string) => ask("GET", `${path}/transfer/${readId}?offset=0`, { token });
  const write = (token: string) =>
    ask("PUT", `${path}/transfer/${writeId}?offset=0`, { token, body: new Uint8Array(3) });
  const request = (token: string) => ask("POST", `${path}/fetch`, { token, headers: fetchHead(80, "/") });
  const reader = await tokenOf("alice", ["read"]);
  expect((await read(reader)).body).toHaveLength(2 * MIB);
  expect(await write(reader)).toMatchObject({ status: 403, code: "forbidden" });
  expect(await request(reader)).toMatchObject({ status: 403, code: "forbidden" });
  const networker = await tokenOf("alice", ["network"]);
  expect(await read(networker)).toMatchObject({ status: 403 });
  expect(await write(networker)).toMatchObject({ status: 403 });
  // The memory runtime has no network.
  expect(await request(networker)).toMatchObject({ code: "not_supported" });
  const files = await tokenOf("alice", ["files"]);
  expect(await write(files)).toMatchObject({ status: 200, body: "3" });
  expect(await request(files)).toMatchObject({ status: 403 });
  await Promise.all([end(readId), end(writeId)]);
});

test("a token that is revoked while a body is under way ends it", async () => {
  const admin = server.client({ token: TOKEN });
  const { token, id: tokenId } = await admin.tokens.create({ vms: "alice", may: ["files"], expiresIn: 60 });
  await vm.writeFile("/large", new Uint8Array(32 * MIB));
  const begun = (await vm.action({ name: "beginFileRead", args: ["/large", 0] })) as { transferId: string };
  const response = await fetch(`${server.endpoint}${path}/transfer/${begun.transferId}?offset=0`, {
    headers: { "x-rivet-token": token },
  });
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  await reader.read();
  await admin.tokens.revoke(tokenId);
  const drained = async () => {
    while (!(await reader.read()).done);
  };
  await failure(drained());
  await end(begun.transferId);
  await vm.delete("/large");
});

test("forged ids, other paths and other methods reach nothing", async () => {
  for (const id of [randomUUID(), "x", "..", "%2e%2e", "a".repeat(65), "__proto__", "constructor"]) {
    for (const method of ["GET", "PUT"]) {
      const { status, code } = await ask(method, `${path}/transfer/${id}?offset=0`);
      expect([400, 404], `${method} ${id}`).toContain(status);
      expect([undefined, "transfer_not_found", "invalid_argument"]).toContain(code);
    }
  }
  const id = await beginRead();
  for (const target of [
    "",
    "/",
    "/transfer",
    "/transfer/",
    `/transfer/${id}/x`,
    "/fetch/x",
    "/file?path=/secret",
  ])
    expect((await ask("GET", path + target)).status, target).not.toBe(200);
  for (const method of ["POST", "DELETE", "PATCH"])
    expect((await ask(method, `${path}/transfer/${id}?offset=0`)).status, method).not.toBe(200);
  expect(await ask("PUT", `${path}/transfer/${id}?offset=0`, { body: new Uint8Array(3) })).toMatchObject({
    code: "transfer_not_found",
  });
  const write = await beginWrite("/written", 3);
  expect(await ask("GET", `${path}/transfer/${write}?offset=0`)).toMatchObject({
    code: "transfer_not_found",
  });
  const unknown = path.replace(/gateway\/[^/]+/, "gateway/0123456789abcdef");
  expect(await ask("GET", `${unknown}/transfer/${id}?offset=0`)).toMatchObject({ code: "actor_not_found" });
  await Promise.all([end(id), end(write)]);
});

test("hostile offsets and sizes are refused, and nothing is half done", async () => {
  const [readId, writeId] = [await beginRead(), await beginWrite("/sized", 8)];
  const offsets = [
    "",
    "-1",
    "1.5",
    "1e3",
    "NaN",
    "Infinity",
    "0x10",
    " 1",
    "9007199254740993",
    `${2 * MIB + 1}`,
  ];
  for (const offset of offsets) {
    const query = `offset=${encodeURIComponent(offset)}`;
    for (const [method, id] of [
      ["GET", readId],
      ["PUT", writeId],
    ] as const)
      expect(
        await ask(
          method,
          `${path}/transfer/${id}?${query}`,
          method === "PUT" ? { body: new Uint8Array(1) } : {},
        ),
        `${method} ${offset}`,
      ).toMatchObject({ status: 400, code: "invalid_argument" });
  }
  expect(await ask("PUT", `${path}/transfer/${writeId}?offset=0`, { body: new Uint8Array(9) })).toMatchObject(
    { code: "invalid_argument" },
  );
  expect(await ask("PUT", `${path}/transfer/${writeId}?offset=4`, { body: new Uint8Array(4) })).toMatchObject(
    {
      status: 200,
    },
  );
  const commit = vm.action({ name: "commitFileWrite", args: [writeId] });
  const error = await failure(commit);
  if (error.code !== "invalid_argument") throw error;
  expect(await vm.exists("/sized")).toBe(false);
  const open = await beginWrite("/sized");
  expect(await failure(vm.action({ name: "commitFileWrite", args: [open] }))).toMatchObject({
    code: "invalid_argument",
  });
  expect(await failure(vm.action({ name: "commitFileWrite", args: [open, 5] }))).toMatchObject({
    code: "invalid_argument",
  });
  await Promise.all([readId, writeId, open].map(end));
});

test("hostile heads of requests into the VM are refused", async () => {
  const post = (head: string) => ask("POST", `${path}/fetch`, { headers: { [FETCH_HEADER]: head } });
  const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  for (const head of [
    "",
    "!",
    encoded(null),
    encoded({}),
    encoded([]),
    encoded(["80", "/"]),
    encoded([80]),
    encoded([80, "/", { stream: true }]),
    encoded([80, "/", { method: "TRACE" }]),
    encoded([80, "/", {}, "more"]),
    encoded([80, "/", { headers: { a: "b\r\nc: d" } }]),
  ]) {
    const { status, code } = await post(head);
    expect(status, head).toBeGreaterThanOrEqual(400);
    expect(["invalid_argument", "not_supported"]).toContain(code);
  }
});

test("a newer body cuts the older one of a transfer", async () => {
  const id = await beginWrite("/turns", 4);
  const slow = httpRequest(`${server.endpoint}${path}/transfer/${id}?offset=0`, {
    method: "PUT",
    headers: { "x-rivet-token": TOKEN, "content-length": 4 },
  });
  const cut = new Promise((resolve) => slow.once("error", resolve));
  slow.write("ab");
  await until(async () => (await vm.action({ name: "status", args: [] })) !== undefined);
  expect(await ask("PUT", `${path}/transfer/${id}?offset=0`, { body: Buffer.from("wxyz") })).toMatchObject({
    body: "4",
  });
  await cut;
  await vm.action({ name: "commitFileWrite", args: [id] });
  expect(new TextDecoder().decode(await vm.readFile("/turns"))).toBe("wxyz");
});

test("a body that lies about its length does not reach the next request", async () => {
  const id = await beginWrite("/smuggled", 5);
  const raw = (text: string) =>
    new Promise<string>((resolve) => {
      const socket = net.connect(server.port, "127.0.0.1");
      let seen = "";
      socket.on("data", (data) => {
        seen += data;
      });
      socket.on("close", () => resolve(seen));
      socket.on("error", () => undefined);
      socket.end(text);
    });
  const head = `PUT ${path}/transfer/${id}?offset=0 HTTP/1.1\r\nhost: x\r\nx-rivet-token: ${TOKEN}\r\n`;
  expect(await raw(`${head}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`)).toMatch(
    /^HTTP\/1.1 400/,
  );
  expect(await raw(`${head}content-length: 5\r\ncontent-length: 6\r\n\r\nabcdef`)).toMatch(/^HTTP\/1.1 400/);
  await raw(`${head}content-length: 50\r\n\r\nabc`);
  expect(await failure(vm.action({ name: "commitFileWrite", args: [id] }))).toMatchObject({
    code: "invalid_argument",
  });
  expect(await vm.exists("/smuggled")).toBe(false);
  await end(id);
});

test("64 uploads at once arrive, and another one is refused", async () => {
  const size = 300_000;
  const data = randomBytes(size);
  const ids = await Promise.all(Array.from({ length: 64 }, (_, index) => beginWrite(`/many/${index}`, size)));
  expect(await failure(beginWrite("/many/more", 1))).toMatchObject({ code: "limit_exceeded" });
  const answers = await Promise.all(
    ids.map((id) => ask("PUT", `${path}/transfer/${id}?offset=0`, { body: data })),
  );
  expect(new Set(answers.map(({ body }) => body))).toEqual(new Set([String(size)]));
  await Promise.all(ids.map((id) => vm.action({ name: "commitFileWrite", args: [id] })));
  expect(await vm.readdir("/many")).toHaveLength(64);
  expect(Buffer.compare(await vm.readFile("/many/63"), data)).toBe(0);
});

test("a client that leaves in the middle of a body leaves the transfer open for its return, and no more", async () => {
  const id = await beginRead();
  const leave = () =>
    new Promise<void>((resolve) => {
      const leaving = httpRequest(
        `${server.endpoint}${path}/transfer/${id}?offset=0`,
        { headers: { "x-rivet-token": TOKEN } },
        (response: IncomingMessage) => {
          response.once("data", () => {
            response.destroy();
            resolve();
          });
        },
      );
      leaving.on("error", () => undefined);
      leaving.end();
    });
  for (let round = 0; round < 20; round++) await leave();
  expect((await ask("GET", `${path}/transfer/${id}?offset=0&resumed=1`)).body).toHaveLength(2 * MIB);
  await end(id);
  expect(await ask("GET", `${path}/transfer/${id}?offset=0`)).toMatchObject({ code: "transfer_not_found" });
});
