import { afterAll, beforeAll, expect, test } from "vitest";
import { type FakeServer, startTestServer } from "../support/servers.ts";
import { failure } from "../support/until.ts";

const TOKEN = "t0ken";
let server: FakeServer;
beforeAll(async () => {
  server = await startTestServer({ kind: "fake", options: { token: TOKEN } });
});
afterAll(() => server.stop());

const get = (path: string, token?: string) =>
  fetch(server.endpoint + path, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } });

test("anybody may ask for the health, which has no secrets", async () => {
  const live = await get("/health/live");
  expect([live.status, await live.json()]).toEqual([200, { status: "live" }]);
  const ready = await get("/health/ready");
  expect([ready.status, await ready.json()]).toEqual([
    200,
    { status: "ready", storage: "ok", vms: "ok", draining: false },
  ]);
});

test("the metrics need the token, and count VMs, calls and refusals", async () => {
  expect((await get("/metrics")).status).toBe(401);
  expect((await get("/metrics", "wrong")).status).toBe(401);
  const vm = server.client({ token: TOKEN }).vm.getOrCreate("one");
  await vm.exec("echo x");
  await failure(vm.exec("enoent"));
  const response = await get("/metrics", TOKEN);
  expect(response.headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  for (const line of [
    'agent_vm_vms{state="awake"} 1',
    'agent_vm_vms{state="sleeping"} 0',
    'agent_vm_calls_total{method="exec",outcome="ok"} 1',
    'agent_vm_calls_total{method="exec",outcome="ENOENT"} 1',
    'agent_vm_refused_requests_total{code="unauthorized"} 2',
    "agent_vm_call_seconds_count 2",
    "agent_vm_draining 0",
  ]) {
    expect(text.split("\n")).toContain(line);
  }
  expect(text).toMatch(/nodejs_eventloop_lag_p99_seconds/);
});

test("a token reads the metrics with the right admin for all VMs, and not for one of them", async () => {
  const { tokens } = server.client({ token: TOKEN });
  for (const [vms, may, status] of [
    [{ prefix: "" }, "admin", 200],
    [{ prefix: "" }, "read", 403],
    ["one", "admin", 403],
  ] as const) {
    const { token } = await tokens.create({ vms, may: [may] });
    expect((await get("/metrics", token)).status).toBe(status);
  }
});
