// @module-tag slow
// @module-tag attack
import { expect, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { FakeServer } from "../support/servers.ts";
import { startTestServer } from "../support/servers.ts";
import { tcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";

/** Output of a process while one client does not read, in MiB: well above MAX_CLIENT_BACKLOG_BYTES (128 MiB). */
const FLOOD_MIB = 320;

/** Allowed growth of the server in MiB: one client's backlog, and the socket buffers of the other clients. */
const GROWTH_MIB = 260;

test("drops a client that stops reading, while memory stays bounded and other clients get all output", async () => {
  const server = await startTestServer({ kind: "fake", process: true });
  const proxy = await tcpProxy(server.port);
  const slow = createClient<FakeServer["registry"]>({ endpoint: proxy.endpoint });
  const good = createClient<FakeServer["registry"]>({ endpoint: server.endpoint });
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
});
