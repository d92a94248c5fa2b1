import { once } from "node:events";
import net from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { startTestServer } from "../support/servers.ts";
import { startWebSocketServer } from "../support/vm-servers.ts";
import { wsClient } from "../support/ws-client.ts";

vi.mock("../../src/http/limits.ts", async (load) => ({
  ...(await load<typeof import("../../src/http/limits.ts")>()),
  STRANGER_IDLE_MS: 5_000,
}));

test("WebSockets of a client and of a preview outlive the time of connections without access", async () => {
  const server = await startTestServer({ kind: "kernel", options: { token: "secret" } });
  const vm = server.client({ token: "secret" }).vm.getOrCreate("one");
  await startWebSocketServer(vm, 4000);
  const { pathUrl } = await vm.createSignedPreviewUrl(4000);
  const preview = pathUrl.replace("http", "ws");
  const params = encodeURIComponent(JSON.stringify({ token: "secret" }));
  const client = preview.replace(/request\/fetch.*/, "connect");
  const protocols = ["rivet", "rivet_encoding.json", `rivet_conn_params.${params}`];
  const sockets = [wsClient(client, protocols), wsClient(preview)];
  let closed = 0;
  for (const socket of sockets) {
    onTestFinished(() => socket.terminate());
    socket.on("close", () => {
      closed += 1;
    });
  }
  await Promise.all(sockets.map((socket) => once(socket, "open")));
  const stranger = net.connect(server.port, "127.0.0.1");
  await once(stranger.on("error", () => undefined).resume(), "close");
  expect(closed).toBe(0);
});
