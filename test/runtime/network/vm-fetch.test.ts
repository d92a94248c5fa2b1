// @module-tag any-user
import { expect, test } from "vitest";
import { MAX_RESULT_BYTES } from "../../../src/api/limits.ts";
import { vmOptionsSchema } from "../../../src/runtime/options.ts";
import { assembleVm } from "../../../src/runtime/vm.ts";
import { openShared } from "../../../src/runtime/vm-shared.ts";
import { testRows } from "../../support/rows.ts";
import { failure } from "../../support/until.ts";
import { startVm } from "../../support/vm.ts";
import { startHttpServer, textOf } from "../../support/vm-servers.ts";

test("a GET returns status, body, and headers as pairs with repeats", async () => {
  const { vm } = startVm();
  await startHttpServer(vm, 3000);
  const response = await vm.vmFetch(3000, "/a%20b?c=%2F&d");
  expect(response).toMatchObject({ status: 200, statusText: "OK" });
  expect(response.headers?.filter(([name]) => name === "set-cookie")).toEqual([
    ["set-cookie", "a=1"],
    ["set-cookie", "b=2"],
  ]);
  expect(response.body.constructor).toBe(Uint8Array);
  expect(JSON.parse(textOf(response))).toMatchObject({ method: "GET", url: "/a%20b?c=%2F&d", body: "" });
});

test("sends any method, body and headers, except headers of the connection", async () => {
  const { vm } = startVm();
  await startHttpServer(vm, 3000);
  const headers: [string, string][] = [
    ["X-Two", "1"],
    ["x-two", "2"],
    ["transfer-encoding", "chunked"],
    ["content-length", "9999"],
    ["connection", "upgrade"],
    ["host", "elsewhere.example"],
  ];
  for (const method of ["POST", "put", "PATCH", "DELETE", "OPTIONS"]) {
    const echo = JSON.parse(textOf(await vm.vmFetch(3000, "/", { method, headers, body: "bö" })));
    expect(echo).toMatchObject({ method: method.toUpperCase(), body: "bö" });
    const received = Object.fromEntries(
      (echo.headers as string[]).flatMap((name, index, all) =>
        index % 2 === 0 ? [[`${name.toLowerCase()} ${index}`, all[index + 1]]] : [],
      ),
    );
    const valuesOf = (wanted: string) =>
      Object.entries(received).flatMap(([name, value]) => (name.startsWith(`${wanted} `) ? [value] : []));
    expect(valuesOf("x-two")).toEqual(["1", "2"]);
    expect(valuesOf("content-length")).toEqual(["3"]);
    expect(valuesOf("transfer-encoding")).toEqual([]);
    expect(valuesOf("host")).toEqual(["elsewhere.example"]);
  }
  const get = JSON.parse(textOf(await vm.vmFetch(3000, "/", { body: "dropped" })));
  expect(get.body).toBe("");
});

test("sends 20 MB, ignores a URL's host, follows no redirect, and leaves gzip packed", {
  tags: ["slow"],
}, async () => {
  const { vm } = startVm();
  await startHttpServer(vm, 3000);
  const up = await vm.vmFetch(3000, "/", { method: "POST", body: new Uint8Array(20_000_000) });
  expect(JSON.parse(textOf(up)).body).toBe(20_000_000);
  const full = JSON.parse(textOf(await vm.vmFetch(3000, "https://example.com:1/x?y#z")));
  expect(full.url).toBe("/x?y");
  const redirect = await vm.vmFetch(3000, "/redirect");
  expect([redirect.status, redirect.headers]).toMatchObject([
    302,
    expect.arrayContaining([["location", "/elsewhere"]]),
  ]);
  const packed = await vm.vmFetch(3000, "/gzip");
  expect([packed.body[0], packed.body[1]]).toEqual([0x1f, 0x8b]);
});

test("keeps connections between requests", { tags: ["slow"] }, async () => {
  const { vm } = startVm();
  await startHttpServer(vm, 3000);
  const connectionOf = async () => JSON.parse(textOf(await vm.vmFetch(3000, "/"))).connection;
  expect(await connectionOf()).toBe(await connectionOf());
});

testRows(
  [
    ["127.0.0.1", 3001],
    ["::1", 3002],
    ["0.0.0.0", 3003],
    ["::", 3004],
  ] as const,
  1,
)("reaches a server on %s", async (host, port) => {
  const { vm } = startVm();
  await startHttpServer(vm, port, host);
  expect((await vm.vmFetch(port, "/")).status).toBe(200);
});

test("reaches python's http.server", { tags: ["slow"] }, async ({ skip }) => {
  const { vm } = startVm();
  await vm.exec("mkdir /tmp/www && echo hello > /tmp/www/file");
  if ((await vm.exec("command -v python3")).exitCode !== 0) {
    console.log("No test of python's http.server: python3 is not installed");
    skip();
  }
  await vm.spawn("python3", ["-m", "http.server", "-d", "/tmp/www", "8000"]);
  await vm.waitForPort(8000);
  expect(textOf(await vm.vmFetch(8000, "/file"))).toBe("hello\n");
});

test("serves 100 requests at once", { tags: ["slow"] }, async () => {
  const { vm } = startVm();
  await startHttpServer(vm, 3000);
  const all = await Promise.all(Array.from({ length: 100 }, (_, index) => vm.vmFetch(3000, `/${index}`)));
  expect(all.map((response) => JSON.parse(textOf(response)).url)).toEqual(all.map((_, index) => `/${index}`));
});

test("reports a closed port, a missing, a partial and an invalid response", async () => {
  const { vm } = startVm();
  await startHttpServer(vm, 3000);
  expect(await failure(vm.vmFetch(9, "/"))).toMatchObject({
    code: "ECONNREFUSED",
    message: "ECONNREFUSED: connect 127.0.0.1:9",
  });
  expect(await failure(vm.vmFetch(3000, "/hang", { timeoutMs: 1000 }))).toMatchObject({
    code: "fetch_timeout",
    message: "Port 3000 did not answer within 1000 ms",
  });
  await expect.poll(async () => textOf(await vm.vmFetch(3000, "/closed"))).toBe("1");
  expect(await failure(vm.vmFetch(3000, "/cut"))).toMatchObject({ code: "fetch_failed" });
  await vm.spawn("node", ["-e", "net.createServer((s) => s.end('no HTTP\\n')).listen(4000)"]);
  await vm.waitForPort(4000);
  expect(await failure(vm.vmFetch(4000, "/"))).toMatchObject({ code: "fetch_failed" });
});

test("refuses a response above the limit, and the error names preview URLs", { tags: ["slow"] }, async () => {
  const options = vmOptionsSchema.parse({});
  const hooks = { emit: () => undefined, keepAwake: () => undefined };
  const vm = assembleVm(openShared(options), hooks, { maxResultBytes: MAX_RESULT_BYTES });
  try {
    await startHttpServer(vm, 3000);
    const { body } = await vm.vmFetch(3000, "/bytes/31000000");
    expect(body.byteLength).toBe(31_000_000);
    const error = await failure(vm.vmFetch(3000, "/bytes/100000000"));
    expect(error).toMatchObject({ code: "response_too_large" });
    expect(error.message).toContain("createSignedPreviewUrl");
  } finally {
    await vm.dispose("destroy");
  }
});

test.each([
  [["/", { method: "GE T" }], "method"],
  [["/", { method: "CONNECT" }], "method"],
  [["/", { method: "trace" }], "method"],
  [
    [
      "/",
      {
        headers: [
          ["host", "a"],
          ["Host", "b"],
        ],
      },
    ],
    "headers",
  ],
  [["/", { headers: { "x y": "1" } }], "headers"],
  [["/", { headers: { x: "1\r\ny: 2" } }], "headers"],
  [["ftp://host/"], "path"],
] as [[string, object?], string][])("refuses %j", async (args, argument) => {
  const { vm } = startVm();
  expect(await failure(vm.vmFetch(80, ...args))).toMatchObject({
    code: "invalid_argument",
    metadata: { argument },
  });
});

test("a path cannot break out of the request line", async () => {
  const { vm } = startVm();
  await startHttpServer(vm, 3000);
  for (const path of ["/a\r\nx: y", "/a b", "/ä", "//host/x", "/../x"]) {
    const echo = JSON.parse(textOf(await vm.vmFetch(3000, path)));
    expect(echo.headers).not.toContain("x");
    expect(echo.url).toMatch(/^\/[\x21-\x7e]*$/);
  }
});

test("dispose ends a request in flight", { tags: ["slow"] }, async () => {
  const { vm } = startVm();
  await startHttpServer(vm, 3000);
  const hanging = failure(vm.vmFetch(3000, "/hang"));
  await vm.dispose("destroy");
  expect(await hanging).toMatchObject({ code: "vm_stopped" });
});

test("aborting a call cuts its request inside the VM", async () => {
  const { vm } = startVm();
  await startHttpServer(vm, 3000);
  const abort = new AbortController();
  const hanging = failure(vm.vmFetch(3000, "/hang", {}, abort.signal));
  await vm.vmFetch(3000, "/");
  abort.abort();
  expect(await hanging).toMatchObject({ code: "fetch_aborted" });
  await expect.poll(async () => textOf(await vm.vmFetch(3000, "/closed"))).toBe("1");
});

test("the memory runtime has no network", async () => {
  const { vm } = startVm({ runtime: "memory" });
  for (const call of [vm.vmFetch(80, "/"), vm.listPorts(), vm.waitForPort(80)]) {
    expect(await failure(call)).toMatchObject({ code: "not_supported" });
  }
});
