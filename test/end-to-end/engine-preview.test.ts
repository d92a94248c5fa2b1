// @module-tag slow
import { expect, onTestFinished, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { startEngine, startEngineServer } from "../support/engine.ts";
import { startHttpServer } from "../support/vm-servers.ts";

test("opens a preview at the gateway of a Rivet Engine", async (context) => {
  const engine = await startEngine(context);
  const server = await startEngineServer(engine);
  const client = createClient<typeof registry>({ endpoint: engine.endpoint });
  onTestFinished(async () => {
    await client.dispose();
    await server.stop("SIGTERM");
  });
  const vm = client.vm.getOrCreate("engine");
  // The engine learns of the server a moment after the server has started.
  const ready = () => vm.exists("/").catch(() => false);
  await expect.poll(ready, { interval: 1_000 }).toBe(true);
  await startHttpServer(vm, 3000);
  const preview = await vm.createSignedPreviewUrl(3000);
  const base = preview.url;
  const prefix = `/gateway/${await vm.resolve()}${preview.path}`;
  expect(base).toBe(`${engine.endpoint}${prefix}/`);

  // The app gets method, path, query, body and its address outside.
  const posted = await fetch(`${base}a%20b?x=%2F`, { method: "POST", body: "content" });
  const echo = (await posted.json()) as { headers: string[] };
  expect(echo).toMatchObject({ method: "POST", url: "/a%20b?x=%2F", body: "content" });
  const pairs = echo.headers.flatMap((name, index, all) => (index % 2 ? [] : [[name, all[index + 1]]]));
  expect(Object.fromEntries(pairs)).toMatchObject({
    host: "localhost:3000",
    "x-forwarded-host": new URL(engine.endpoint).host,
    "x-forwarded-prefix": prefix,
  });
  expect(pairs.map(([name]) => name)).not.toContain("x-forwarded-for");

  // The client gets whole answers, with redirects and cookies below the preview.
  const login = await fetch(`${base}login`, { redirect: "manual" });
  expect([login.headers.get("location"), login.headers.getSetCookie()]).toEqual([
    `${prefix}/home`,
    [expect.stringMatching(/^agent-vm-app-[^=]+-s=1; Path=/)],
  ]);
  expect((await (await fetch(`${base}bytes/5000000`)).arrayBuffer()).byteLength).toBe(5_000_000);
  expect(await (await fetch(`${base}gzip`)).text()).toBe("packed");

  // RivetKit would collect this answer without a limit, so the server refuses it.
  const before = server.residentMib();
  const large = await fetch(`${base}bytes/1000000000`);
  expect([large.status, await large.json()]).toMatchObject([413, { code: "response_too_large" }]);
  expect(server.residentMib() - before).toBeLessThan(100);

  // The server refuses a wrong token, a port without a listener, a WebSocket and an expired token.
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
});
