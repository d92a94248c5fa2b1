import { expect, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import { FAKE_SERVER_PROGRAM, startServerProcess } from "../support/server-process.ts";
import type { TestServer } from "../support/start-server.ts";
import { tcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";

/** What a process writes while one client does not read, in MiB: well above MAX_CLIENT_BACKLOG_BYTES (128 MiB). */
const FLOOD_MIB = 320;

/** What the server may grow by meanwhile: one client's backlog, and what the sockets of the others hold. */
const GROWTH_MIB = 260;

test("a client that stops reading is dropped; the server's memory stays bounded and others get everything", async () => {
  const server = await startServerProcess({ program: FAKE_SERVER_PROGRAM });
  const proxy = await tcpProxy(server.port);
  const slow = createClient<TestServer["registry"]>({ endpoint: proxy.endpoint });
  const good = createClient<TestServer["registry"]>({ endpoint: server.endpoint });
  try {
    const slowConnection = slow.vm.getOrCreate("flooded").connect();
    slowConnection.on("processOutput", () => undefined);
    await slowConnection.exists("/x");

    const agent = good.vm.getOrCreate("flooded");
    const connection = agent.connect();
    let bytes = 0;
    let next = 0;
    let ordered = true;
    connection.on("processOutput", ({ data, seq }) => {
      bytes += data.byteLength;
      ordered &&= seq === next;
      next = seq + 1;
    });
    const exited = new Promise((resolve) => void connection.on("processExit", resolve));
    await agent.exists("/x");

    const before = server.residentMib();
    let peak = before;
    const watch = setInterval(() => {
      peak = Math.max(peak, server.residentMib());
    }, 20);
    proxy.stall();
    proxy.target = undefined;
    await agent.spawn("flood", [String(FLOOD_MIB), "4"]);
    await exited;
    clearInterval(watch);

    expect(bytes).toBeGreaterThanOrEqual(FLOOD_MIB * 1024 * 1024);
    expect(ordered).toBe(true);
    expect(peak - before).toBeLessThan(GROWTH_MIB);
    proxy.drain();
    await until(() => proxy.connections() === 0);
    expect(await agent.exists("/x")).toBe(false);
  } finally {
    await Promise.all([slow.dispose(), good.dispose()]);
    await proxy.close();
    await server.stop();
  }
}, 60_000);
