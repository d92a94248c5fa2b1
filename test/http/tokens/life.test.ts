// @module-tag attack
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MAX_TOKEN_SECONDS } from "../../../src/api/limits.ts";
import { type FakeServer, startTestServer } from "../../support/servers.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { failure } from "../../support/until.ts";

const TOKEN = "administrator's token";

const start = (options: object = {}): Promise<FakeServer> =>
  startTestServer({ kind: "fake", options: { token: TOKEN, ...options } });

let shared: FakeServer;
beforeAll(async () => {
  shared = await start();
});
afterAll(() => shared.stop());

test("a token carries its VMs, its rights, its label and its end", async () => {
  const { tokens } = (await start()).client({ token: TOKEN });
  const before = Date.now();
  const { id, expiresAt } = await tokens.create({
    vms: [["team", "alice"], "bob"],
    may: ["exec", "read", "exec"],
    expiresIn: 60,
    label: "browser of Alice",
  });
  expect(expiresAt).toBeGreaterThanOrEqual(before + 60_000);
  expect(expiresAt).toBeLessThanOrEqual(Date.now() + 61_000);
  expect(await tokens.list()).toEqual({
    tokens: [
      {
        id,
        label: "browser of Alice",
        vms: [["team", "alice"], ["bob"]],
        actors: null,
        may: ["exec", "read"],
        createdAt: expect.any(Number),
        expiresAt,
      },
    ],
    cursor: null,
  });
});

test("lists page by page, oldest first", async () => {
  const { tokens } = (await start()).client({ token: TOKEN });
  for (const label of ["a", "b", "c"]) await tokens.create({ vms: { prefix: "x" }, may: ["read"], label });
  const labels = (page: Awaited<ReturnType<typeof tokens.list>>) => page.tokens.map((token) => token.label);
  const first = await tokens.list({ limit: 2 });
  expect(labels(first)).toEqual(["a", "b"]);
  const second = await tokens.list({ limit: 2, cursor: first.cursor! });
  expect(labels(second)).toEqual(["c"]);
  expect(second.cursor).toBeNull();
});

test("a revoked token is refused at once, and only that token", async () => {
  const server = await start();
  const { tokens } = server.client({ token: TOKEN });
  const [one, two] = await Promise.all([
    tokens.create({ vms: "a", may: ["admin"] }),
    tokens.create({ vms: "a", may: ["admin"] }),
  ]);
  const left = server.client({ token: one.token }).vm.getOrCreate("a");
  await left.exists("/x");
  await tokens.revoke(one.id);
  expect(await failure(left.exists("/x"))).toMatchObject({
    code: "unauthorized",
    metadata: { reason: "revoked" },
  });
  await server.client({ token: two.token }).vm.getOrCreate("a").exists("/x");
  expect((await tokens.list()).tokens.map(({ id }) => id)).toEqual([two.id]);
  expect(await failure(tokens.revoke(one.id))).toMatchObject({ code: "token_not_found" });
  expect(await failure(tokens.renew(one.id))).toMatchObject({ code: "token_not_found" });
});

test("tokens and revocations survive a restart of the server", async () => {
  const dataDir = temporaryFolder();
  const first = await start({ dataDir });
  const { tokens } = first.client({ token: TOKEN });
  const kept = await tokens.create({ vms: "a", may: ["admin"] });
  const gone = await tokens.create({ vms: "a", may: ["admin"] });
  await tokens.revoke(gone.id);
  await first.stop();

  const second = await start({ dataDir });
  const use = (token: string) => second.client({ token }).vm.getOrCreate("a").exists("/x");
  expect(await use(kept.token)).toBe(false);
  expect(await failure(use(gone.token))).toMatchObject({ metadata: { reason: "revoked" } });
});

test("a renewed token keeps its id, and revoking the id ends every copy", async () => {
  const server = await start();
  const { tokens } = server.client({ token: TOKEN });
  const old = await tokens.create({ vms: "a", may: ["admin"], expiresIn: 100 });
  const renewed = await tokens.renew(old.id);
  expect(await failure(tokens.renew())).toMatchObject({
    code: "invalid_argument",
    message: expect.stringContaining("Pass the id of a token"),
  });
  expect(renewed.id).toBe(old.id);
  expect(renewed.expiresAt).toBeGreaterThanOrEqual(old.expiresAt);
  await tokens.revoke(old.id);
  for (const { token } of [old, renewed]) {
    expect(await failure(server.client({ token }).vm.getOrCreate("a").exists("/x"))).toMatchObject({
      metadata: { reason: "revoked" },
    });
  }
});

test("another secret makes every earlier token invalid", async () => {
  const dataDir = temporaryFolder();
  const first = await start({ dataDir, secret: "1".repeat(32) });
  const { token } = await first.client({ token: TOKEN }).tokens.create({ vms: "a", may: ["admin"] });
  await first.stop();
  const second = await start({ dataDir, secret: "2".repeat(32) });
  expect(await failure(second.client({ token }).vm.getOrCreate("a").exists("/x"))).toMatchObject({
    code: "unauthorized",
    metadata: { reason: "invalid" },
  });
});

test("the secret is in a file of this user alone, and the tokens are nowhere", async () => {
  const dataDir = temporaryFolder();
  const server = await start({ dataDir });
  const { token } = await server.client({ token: TOKEN }).tokens.create({ vms: "a", may: ["admin"] });
  expect(statSync(join(dataDir, "tokens.secret")).mode & 0o777).toBe(0o600);
  const connection = server.client({ token }).vm.getOrCreate("a", { params: { token } }).connect();
  connection.on("processExit", () => undefined);
  await connection.exec("echo hi");
  const administrators = server.client({ token: TOKEN }).vm.getOrCreate("a", { params: { token: TOKEN } });
  await administrators.connect().exec("echo hi");
  const [, , signature] = token.split(".");
  for (const file of readdirSync(dataDir, { recursive: true, encoding: "utf8" })) {
    if (!statSync(join(dataDir, file)).isFile()) continue;
    const content = readFileSync(join(dataDir, file), "latin1");
    for (const secret of [signature!, TOKEN, encodeURIComponent(TOKEN)])
      expect(content, file).not.toContain(secret);
  }
  await connection.dispose();
});

test("refuses a short secret without showing it", async () => {
  const error = await failure(start({ secret: "Tr0ub4dor&3" }));
  expect(error).toMatchObject({ code: "invalid_argument" });
  expect(error.message).not.toContain("Tr0ub4dor&3");
});

test.each<[string, object, string]>([
  ["no VMs", { may: ["read"] }, "vms"],
  ["an empty list of VMs", { vms: [], may: ["read"] }, "vms"],
  ["an unknown right", { vms: "a", may: ["root"] }, "may[0]"],
  ["no right", { vms: "a", may: [] }, "may"],
  ["a life of no time", { vms: "a", may: ["read"], expiresIn: 0 }, "expiresIn"],
  ["too long a life", { vms: "a", may: ["read"], expiresIn: MAX_TOKEN_SECONDS + 1 }, "expiresIn"],
  ["an unknown option", { vms: "a", may: ["read"], expires: 5 }, "expires"],
  ["an empty prefix", { vms: { prefix: [] }, may: ["read"] }, "vms.prefix"],
  [
    "too many bytes",
    { vms: Array.from({ length: 100 }, (_, n) => `${"k".repeat(50)}${n}`), may: ["read"] },
    "vms",
  ],
])("create refuses %s", async (_name, options, argument) => {
  const { tokens } = shared.client({ token: TOKEN });
  expect(await failure(tokens.create(options as never))).toMatchObject({
    code: "invalid_argument",
    metadata: { argument },
  });
});
