import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { OutboundGate } from "../../../../src/runtime/network/outbound/gate.ts";
import { NetworkLog } from "../../../../src/runtime/network/outbound/log.ts";
import { makeResolve } from "../../../../src/runtime/network/outbound/resolve.ts";
import { startNameServer } from "../../../support/name-server.ts";
import { testFolder } from "../../../support/temporary-folder.ts";

async function setUp(
  names: Parameters<typeof startNameServer>[0],
  { hosts = "", conf = "", timeoutMs = 5_000 } = {},
) {
  const folder = testFolder();
  const [hostsFile, resolvConf] = [join(folder, "hosts"), join(folder, "resolv.conf")];
  await writeFile(hostsFile, hosts);
  await writeFile(resolvConf, conf);
  const { server, asked } = await startNameServer(names);
  const resolve = makeResolve({ hostsFile, resolvConf, servers: [server], timeoutMs });
  return { resolve, asked, hostsFile };
}

test("asks the name servers, and names the name and the code on failure", async () => {
  const { resolve } = await setUp({ "a.test": ["192.0.2.1", "192.0.2.2"], "empty.test": [] });
  expect(await resolve("A.test.")).toEqual(["192.0.2.1", "192.0.2.2"]);
  await expect(resolve("missing.test")).rejects.toThrow("cannot resolve missing.test: ENOTFOUND");
  await expect(resolve("empty.test")).rejects.toThrow("cannot resolve empty.test: ENODATA");
});

test("reads the hosts file first, also after a change, and knows localhost without it", async () => {
  const hosts = "# a comment\n192.0.2.7 db DB.internal # 192.0.2.8 no\n::7 db\nnonsense x\n";
  const { resolve, asked, hostsFile } = await setUp({}, { hosts });
  expect(await resolve("db")).toEqual(["192.0.2.7", "::7"]);
  expect(await resolve("db.internal")).toEqual(["192.0.2.7"]);
  expect(await resolve("localhost")).toEqual(["127.0.0.1", "::1"]);
  expect(await resolve("a.localhost")).toEqual(["127.0.0.1", "::1"]);
  await writeFile(hostsFile, "192.0.2.9 db other\n");
  expect(await resolve("db")).toEqual(["192.0.2.9"]);
  expect(asked).toEqual([]);
});

test("tries search domains in the C library's order", async () => {
  const { resolve, asked } = await setUp(
    { "api.two.test": ["192.0.2.1"], "a.b": ["192.0.2.2"], "a.b.one.test": ["192.0.2.3"] },
    { conf: "search one.test two.test.\noptions ndots:1 timeout:1\n" },
  );
  expect(await resolve("api")).toEqual(["192.0.2.1"]);
  expect(asked.filter((question) => question.startsWith("A "))).toEqual(["A api.one.test", "A api.two.test"]);
  expect(await resolve("a.b")).toEqual(["192.0.2.2"]);
});

test("a silent name server fails a lookup after its time and delays no other name and no file", async () => {
  const names = Object.fromEntries(
    Array.from({ length: 64 }, (_, index) => [`slow${index}.test`, "silent" as const]),
  );
  const { resolve } = await setUp({ ...names, "quick.test": ["192.0.2.1"] }, { timeoutMs: 3_000 });
  let settled = 0;
  const slow = Object.keys(names).map((name) =>
    resolve(name).then(
      () => "resolved",
      ({ code }) => code as string,
    ),
  );
  for (const lookup of slow) void lookup.then(() => (settled += 1));
  expect(await resolve("quick.test")).toEqual(["192.0.2.1"]);
  await readFile("/etc/passwd");
  expect(settled).toBe(0);
  expect(new Set(await Promise.all(slow))).toEqual(new Set(["ECANCELLED"]));
});

test("a VM's lookups wait in a queue of its own with an end, and use a bounded number of addresses", async () => {
  let running = 0;
  let most = 0;
  const { promise: gone, resolve: go } = Promise.withResolvers<void>();
  const gate = new OutboundGate({ allow: ["*"] }, new NetworkLog(() => undefined), {
    async resolve() {
      running += 1;
      most = Math.max(most, running);
      await gone;
      running -= 1;
      return Array.from({ length: 10_000 }, (_, index) => `127.1.${index >> 8}.${index & 255}`);
    },
  });
  const { signal } = new AbortController();
  const outcomes = Array.from({ length: 300 }, (_, index) =>
    gate.open({ host: `h${index}.test`, port: 80 }, signal).then(
      () => "open",
      ({ message }: Error) => message,
    ),
  );
  const full = await Promise.race(outcomes);
  expect(full).toContain("MAX_WAITING_LOOKUPS");
  go();
  const texts = await Promise.all(outcomes);
  expect(texts.filter((text) => text.includes("MAX_WAITING_LOOKUPS"))).toHaveLength(300 - 16 - 128);
  expect(texts.filter((text) => text.includes("need a rule"))).toHaveLength(16 + 128);
  expect(most).toBe(16);
});

test("a lookup whose program has gone is not made", async () => {
  const asked: string[] = [];
  const { promise: gone, resolve: go } = Promise.withResolvers<void>();
  const gate = new OutboundGate({ allow: ["*"] }, new NetworkLog(() => undefined), {
    async resolve(host) {
      asked.push(host);
      await gone;
      return [];
    },
  });
  const abort = new AbortController();
  const outcomes = Array.from({ length: 20 }, (_, index) =>
    gate.open({ host: `h${index}.test`, port: 80 }, abort.signal).catch(() => undefined),
  );
  await expect.poll(() => asked.length).toBe(16);
  abort.abort();
  go();
  await Promise.all(outcomes);
  expect(asked).toHaveLength(16);
});
