// @module-tag attack
import { createHash, randomBytes } from "node:crypto";
import net from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { VmClient } from "../../src/client/types.ts";
import type { registry } from "../../src/server.ts";
import { type ServerProcess, startTestServer } from "../support/servers.ts";
import { startHttpServer } from "../support/vm-servers.ts";

let server: ServerProcess;
let client: VmClient<typeof registry>;
let vm: ReturnType<typeof client.vm.getOrCreate>;
/** Path of a preview of port 3000, without a final slash. */
let preview: string;
let token: string;

beforeAll(async () => {
  server = await startTestServer({ kind: "kernel", process: true, env: { AGENT_VM_TOKEN: "secret" } });
  client = createClient<typeof registry>({ endpoint: server.endpoint, token: "secret" });
  vm = client.vm.getOrCreate("attacked");
  await startHttpServer(vm, 3000);
  await startHttpServer(vm, 3001);
  const made = await vm.createSignedPreviewUrl(3000);
  preview = new URL(made.pathUrl).pathname.slice(0, -1);
  token = made.token;
});
afterAll(async () => {
  await client.dispose();
  await server.stop("SIGTERM");
});

/** Sends bytes and returns the answer. */
async function raw(bytes: string): Promise<string> {
  const socket = net.connect(server.port, "127.0.0.1");
  socket.write(bytes);
  let answer = "";
  for await (const data of socket) answer += data;
  return answer;
}

const get = (target: string, headers = ["Host: x"]) =>
  raw([`GET ${target} HTTP/1.1`, ...headers, "Connection: close", "", ""].join("\r\n"));
const statusOf = (answer: string) => answer.slice(9, 12);
const echoOf = (answer: string) =>
  JSON.parse(answer.slice(answer.indexOf("{"), answer.lastIndexOf("}") + 1)) as {
    url: string;
    headers: string[];
  };

test("refuses guesses: variants of a token, its id and hashes, and a hundred random tokens", async () => {
  const hash = createHash("sha256").update(token).digest();
  const { id } = (await vm.listPreviews())[0]!;
  const near = [
    token.slice(0, -1),
    `${token}A`,
    token.toLowerCase() === token ? token.toUpperCase() : token.toLowerCase(),
    `${token}=`,
    `${token}%00`,
    `%${token.charCodeAt(0).toString(16)}${token.slice(1)}`,
    id,
    hash.toString("hex"),
    hash.toString("base64url"),
    hash.toString("hex").slice(0, 32),
    "constructor",
    "__proto__",
    "*",
  ];
  const others = Array.from({ length: 100 }, () => randomBytes(24).toString("base64url"));
  const urls = [...near, ...others].map((guess) => server.endpoint + preview.replace(token, guess));
  const statuses = await Promise.all(urls.map(async (url) => (await fetch(url)).status));
  expect(new Set(statuses)).toEqual(new Set([403]));
  expect((await fetch(`${server.endpoint}${preview}/`)).status).toBe(200);
});

test("a token opens no other VM and no other port, by any route", async () => {
  const other = client.vm.getOrCreate("neighbour");
  await startHttpServer(other, 3000);
  const [own, foreign] = [await vm.resolve(), await other.resolve()];
  expect(statusOf(await get(`${preview.replace(own, foreign)}/`))).toBe("403");
  const aimed = ["Host: x", "x-rivet-target: actor", `x-rivet-actor: ${foreign}`, "x-rivet-token: secret"];
  expect(statusOf(await get(`/request/fetch/${token}/`, aimed))).toBe("403");
  // The gateway's path wins over a header that names another actor.
  const both = echoOf(await get(`${preview}/`, aimed));
  expect(both.headers).toContain("localhost:3000");
  for (const target of ["/:3001/", "/@localhost:3001/", "//localhost:3001/", "/http://localhost:3001/"]) {
    const { url, headers } = echoOf(await get(preview + target, ["Host: localhost:3001"]));
    expect([url, headers[1]]).toEqual([target, "localhost:3000"]);
  }
});

test("a path cannot climb out of a preview or into a preview", async () => {
  // The app gets the path after the token unchanged.
  for (const path of ["/..", "/../../../../action/exec", "/%2e%2e/%2e%2e/x", "/..%2f..%2fx", "/..\\..\\x"]) {
    expect(echoOf(await get(preview + path)).url).toBe(path);
  }
  const [, gateway = "", actor = ""] = preview.split("/");
  const before = `/${gateway}/${actor}`;
  for (const target of [
    `${before}/../${actor}/request/fetch/${token}/`,
    `${before}/./request/fetch/${token}/`,
    `${before}//request/fetch/${token}/`,
    `/${preview}/`,
    `/%67ateway/${actor}/request/fetch/${token}/`,
    `${before}%2frequest%2ffetch%2f${token}/`,
    `${before}/request/%2e%2e/action/exec`,
    `${before}/request/fetch/../../action/exec`,
    `http://x${before}/action/exec`,
    `http://x/${preview}/`,
    "*",
  ]) {
    const status = statusOf(await get(target));
    expect([target, status]).toEqual([target, expect.stringMatching(/^40[0134]$/)]);
  }
});

test("an absolute URI is not a preview, and is refused", async () => {
  for (const host of ["x", "169.254.169.254", "localhost:3001", "user@evil.test"]) {
    const answer = await get(`http://${host}${preview}/a?b`, ["Host: x"]);
    expect([host, statusOf(answer)]).toEqual([host, "400"]);
  }
});

test("line ends inject neither a header nor a second request", async () => {
  for (const bytes of [
    `GET ${preview}/ HTTP/1.1\r\nHost: x\r\nA: b\rX-Forwarded-Host: y\r\n\r\n`,
    `GET ${preview}/ HTTP/1.1\nHost: x\n\n`,
    `GET ${preview}/\t HTTP/1.1\r\nHost: x\r\n\r\n`,
    `POST ${preview}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET ${preview}/hang/smuggled HTTP/1.1\r\nHost: x\r\n\r\n`,
    `POST ${preview}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\nGET ${preview}/hang/smuggled HTTP/1.1\r\nHost: x\r\n\r\n`,
    `POST ${preview}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
  ]) {
    const answer = await raw(bytes);
    expect([bytes, statusOf(answer)]).toEqual([bytes, "400"]);
    expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1);
  }
  const encoded = echoOf(await get(`${preview}/%0d%0aX-Evil:%20y`));
  expect(encoded.url).toBe("/%0d%0aX-Evil:%20y");
  expect(encoded.headers).not.toContain("X-Evil");
});

test("no Host header changes where a request goes", async () => {
  for (const host of ["evil.test", "localhost:3001", "169.254.169.254", "a@b", "[::1]:3001", "..", ""]) {
    const { headers } = echoOf(await get(`${preview}/`, [`Host: ${host}`]));
    expect([host, headers[1]]).toEqual([host, "localhost:3000"]);
  }
  const twice = await get(`${preview}/`, ["Host: first", "Host: localhost:3001"]);
  expect(statusOf(twice)).toBe("400");
  expect(statusOf(await get(`${preview}/`, []))).toBe("400");
});

test("redirects a page's request only into a preview of the same server", async () => {
  const from = (referer: string) => get("/app.js", ["Host: dev.test", `Referer: ${referer}`]);
  expect(await from(`http://dev.test${preview}/page`)).toContain(`location: ${preview}/app.js\r\n`);
  for (const referer of [
    `http://evil.test${preview}/`,
    `http://dev.test@evil.test${preview}/`,
    `http://dev.test//evil.test${preview}/`,
    "http://dev.test/gateway/a/request/../fetch/b/",
    "not a URL",
  ]) {
    expect([referer, (await from(referer)).includes("location:")]).toEqual([referer, false]);
  }
});

test("refuses a 257th request at once", { tags: ["slow"] }, async () => {
  const url = `${server.endpoint}${preview}/`;
  const abort = new AbortController();
  const hanging = Array.from({ length: 256 }, (_, index) =>
    fetch(`${url}hang/${index}`, { signal: abort.signal }).catch(() => "cut"),
  );
  for (const index of hanging.keys()) await vm.vmFetch(3000, `/arrived/${index}`);
  const surplus = await fetch(url);
  expect([surplus.status, await surplus.json()]).toMatchObject([429, { code: "limit_exceeded" }]);
  abort.abort();
  expect(await Promise.all(hanging)).toEqual(hanging.map(() => "cut"));
  await expect.poll(async () => (await fetch(url)).status).toBe(200);
});
