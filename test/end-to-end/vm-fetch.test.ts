import { beforeAll, beforeEach, expect, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { VmHandle } from "../../src/client/types.ts";
import type { registry } from "../../src/server.ts";
import { testRows } from "../support/rows.ts";
import { sharedServer } from "../support/servers.ts";
import { tcpProxy } from "../support/tcp-proxy.ts";
import { failure } from "../support/until.ts";
import { startHttpServer, textOf } from "../support/vm-servers.ts";

/** Much shorter than CALL_ABANDON_MS, after which the server cancels the calls of a lost connection. */
const SOON = { timeout: 5_000 };

const server = sharedServer();
let vm: VmHandle;
let before: number;

/** Counts the cut requests that the VM's web server has seen. */
const cut = async () => Number(textOf(await vm.vmFetch(3000, "/closed"))) - before;
/** Resolves when the VM's web server has received a request of this path. */
const arrived = (path: string) => vm.vmFetch(3000, `/arrived${path}`);

beforeAll(async () => {
  vm = server().client().vm.getOrCreate("fetch");
  await startHttpServer(vm, 3000);
});
beforeEach(async () => {
  before = 0;
  before = await cut();
});

test("carries every byte in and out, up to the size of a message", async () => {
  const body = Uint8Array.from({ length: 65_536 }, (_, index) => (index * 7 + (index >> 8)) & 255);
  const back = await vm.vmFetch(3000, "/mirror", { method: "POST", body });
  expect(Buffer.compare(back.body, body)).toBe(0);
  expect((await vm.vmFetch(3000, "/bytes/32000000")).body.byteLength).toBe(32_000_000);
  const error = await failure(vm.vmFetch(3000, "/bytes/100000000"));
  expect(error).toMatchObject({ code: "response_too_large" });
  expect(error.message).toContain("createSignedPreviewUrl");
});

test("serves a hundred requests at once in each of two VMs", { tags: ["slow"] }, async () => {
  const other = server().client().vm.getOrCreate("fetch-too");
  await startHttpServer(other, 3000);
  const paths = Array.from({ length: 100 }, (_, index) => `/${index}`);
  const all = paths.flatMap((path) => [vm.vmFetch(3000, path), other.vmFetch(3000, path)]);
  const urls = (await Promise.all(all)).map((response) => JSON.parse(textOf(response)).url);
  expect(urls).toEqual(paths.flatMap((path) => [path, path]));
});

testRows([["handle"], ["connection"]], 1)("an abort on a %s closes the request in the VM", async (kind) => {
  const connection = vm.connect();
  const caller = kind === "handle" ? vm : connection;
  const abort = new AbortController();
  const fetching = failure(caller.vmFetch(3000, `/hang/${kind}`, {}, { signal: abort.signal }));
  const posting = failure(
    caller.vmFetch(3000, `/hang/post-${kind}`, { method: "POST", body: "x" }, { signal: abort.signal }),
  );
  await arrived(`/${kind}`);
  await arrived(`/post-${kind}`);
  abort.abort(new Error("enough"));
  expect([(await fetching).message, (await posting).message]).toEqual(["enough", "enough"]);
  await expect.poll(cut, SOON).toBe(2);
  await connection.dispose();
});

test("an abort before the call sends no request, and an abort after its end changes nothing", async () => {
  const abort = new AbortController();
  const { signal } = abort;
  expect(textOf(await vm.vmFetch(3000, "/bytes/3", {}, { signal }))).toBe("xxx");
  abort.abort(new Error("late"));
  expect((await failure(vm.vmFetch(3000, "/hang", {}, { signal }))).message).toBe("late");
  expect(await cut()).toBe(0);
});

test("an abort of waitForPort closes its request in the VM", { tags: ["slow"] }, async () => {
  const abort = new AbortController();
  const waiting = failure(vm.waitForPort(3000, { path: "/hang/wait" }, { signal: abort.signal }));
  await arrived("/wait");
  abort.abort(new Error("enough"));
  expect((await waiting).message).toBe("enough");
  await expect.poll(cut, SOON).toBe(1);
});

test("a disposed client closes its requests", { tags: ["slow"] }, async () => {
  const other = createClient<typeof registry>({ endpoint: server().endpoint });
  const handle = other.vm.getOrCreate("fetch");
  const connection = handle.connect();
  const calls = [handle.vmFetch(3000, "/hang/handle-end"), connection.vmFetch(3000, "/hang/connection-end")];
  const failures = Promise.all(calls.map(failure));
  await arrived("/handle-end");
  await arrived("/connection-end");
  await other.dispose();
  expect(await failures).toMatchObject([{ code: "connection_lost" }, { code: "connection_lost" }]);
  await expect.poll(cut, SOON).toBe(2);
});

test("a request survives a reconnect, and is cut if the client does not reconnect", {
  tags: ["slow"],
}, async () => {
  const proxy = await tcpProxy(server().port);
  const other = createClient<typeof registry>({ endpoint: proxy.endpoint });
  const handle = other.vm.getOrCreate("fetch");
  const slow = handle.vmFetch(3000, "/slow");
  await arrived("/slow");
  proxy.cut();
  await vm.vmFetch(3000, "/go");
  expect(textOf(await slow)).toBe("firstsecond");
  const lost = failure(handle.vmFetch(3000, "/hang/lost"));
  await arrived("/lost");
  await proxy.close();
  await expect.poll(cut, { interval: 200 }).toBe(1);
  await other.dispose();
  expect(await lost).toMatchObject({ code: "connection_lost" });
});
