import { expect, onTestFinished, test as plainTest } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { ENGINE_PROGRAM, startEngine } from "../support/engine.ts";
import { startServerProcess } from "../support/server-process.ts";
import { startHttpServer } from "../support/vm-servers.ts";

if (ENGINE_PROGRAM === undefined) console.log("No test with a Rivet Engine: RIVET_ENGINE_BINARY names none");
const test = plainTest.skipIf(ENGINE_PROGRAM === undefined);

test("behind a Rivet Engine a preview opens at the engine's gateway", async () => {
  const engine = await startEngine(ENGINE_PROGRAM as string);
  const server = await startServerProcess({
    env: { AGENT_VM_RUNTIME: "kernel", RIVET_ENGINE: engine, RIVET_RUNNER_VERSION: "1" },
  });
  const client = createClient<typeof registry>({ endpoint: engine });
  onTestFinished(async () => {
    await client.dispose();
    await server.stop("SIGTERM");
  });
  const vm = client.vm.getOrCreate("engine");
  // The engine knows the server a moment after it has started.
  const ready = () => vm.exists("/").catch(() => false);
  await expect.poll(ready, { timeout: 20_000, interval: 1_000 }).toBe(true);
  await startHttpServer(vm, 3000);
  const preview = await vm.createSignedPreviewUrl(3000);
  const base = preview.url;
  const prefix = `/gateway/${await vm.resolve()}${preview.path}`;
  expect(base).toBe(`${engine}${prefix}/`);

  // Requests: method, path, query and body, and where the app is seen from outside.
  const posted = await fetch(`${base}a%20b?x=%2F`, { method: "POST", body: "content" });
  const echo = (await posted.json()) as { headers: string[] };
  expect(echo).toMatchObject({ method: "POST", url: "/a%20b?x=%2F", body: "content" });
  const pairs = echo.headers.flatMap((name, index, all) => (index % 2 ? [] : [[name, all[index + 1]]]));
  expect(Object.fromEntries(pairs)).toMatchObject({
    host: "localhost:3000",
    "x-forwarded-host": new URL(engine).host,
    "x-forwarded-prefix": prefix,
  });
  expect(pairs.map(([name]) => name)).not.toContain("x-forwarded-for");

  // Answers: below the preview, in whole.
  const login = await fetch(`${base}login`, { redirect: "manual" });
  expect([login.headers.get("location"), login.headers.getSetCookie()]).toEqual([
    `${prefix}/home`,
    [`s=1; Path=${prefix}/app`],
  ]);
  expect((await (await fetch(`${base}bytes/5000000`)).arrayBuffer()).byteLength).toBe(5_000_000);
  expect(await (await fetch(`${base}gzip`)).text()).toBe("packed");

  // What RivetKit would collect without end is refused instead.
  const before = server.residentMib();
  const large = await fetch(`${base}bytes/1000000000`);
  expect([large.status, await large.json()]).toMatchObject([413, { code: "response_too_large" }]);
  expect(server.residentMib() - before).toBeLessThan(100);

  // Refusals, and the end.
  expect((await fetch(base.replace(/.{4}\/$/, "AAAA/"))).status).toBe(403);
  expect((await fetch((await vm.createSignedPreviewUrl(9)).url)).status).toBe(502);
  const socket = new WebSocket(`${base.replace("http", "ws")}socket`);
  const outcome = await new Promise((resolve) => {
    socket.addEventListener("open", () => resolve("open"), { once: true });
    socket.addEventListener("close", () => resolve("refused"), { once: true });
  });
  expect(outcome).toBe("refused");
  await vm.expireSignedPreviewUrl(preview.token);
  expect((await fetch(base)).status).toBe(403);
}, 90_000);
