import { once } from "node:events";
import { createRequire } from "node:module";
import { expect, test, vi } from "vitest";
import { encodeMuxFrame, FRAME } from "../../../src/base/mux/frames.ts";
import { startTestServer } from "../../support/servers.ts";
import { TCP_SERVER } from "../../support/tcp.ts";

vi.mock("../../../src/http/limits.ts", async (load) => ({
  ...(await load<typeof import("../../../src/http/limits.ts")>()),
  // On a busy machine a client takes a while to answer a ping.
  TUNNEL_IDLE_MS: 4_000,
  TUNNEL_PING_MS: 2_000,
}));

interface RawSocket extends NodeJS.EventEmitter {
  send(data: Uint8Array): void;
}
const { WebSocket: Raw } = createRequire(import.meta.url)("ws") as {
  WebSocket: new (url: string, protocols?: string[], options?: { autoPong?: boolean }) => RawSocket;
};

test("the server closes a tunnel that is idle, and cuts a client that does not answer", async () => {
  const server = await startTestServer({ kind: "kernel" });
  const vm = server.client().vm.getOrCreate("idle");
  await vm.writeFile("/tmp/tcp-server.cjs", TCP_SERVER);
  await vm.spawn("node", ["/tmp/tcp-server.cjs", "4000"]);
  await vm.waitForPort(4000);
  const url = `${server.endpoint.replace("http", "ws")}/gateway/${await vm.resolve()}/tunnel`;
  const used = new Raw(url);
  await once(used, "open");
  used.send(encodeMuxFrame(FRAME.open, 1, Buffer.from('{"port":4000}')));
  let isClosed = false;
  used.once("close", () => {
    isClosed = true;
  });

  const silent = new Raw(url, [], { autoPong: false });
  await once(silent, "open");
  silent.send(encodeMuxFrame(FRAME.open, 1, Buffer.from('{"port":4000}')));
  const cut = once(silent, "close");

  const idle = new Raw(url);
  const [code, reason] = await once(idle, "close");
  expect([code, String(reason)]).toEqual([1000, "idle"]);
  expect((await cut)[0]).toBe(1006);
  expect(isClosed).toBe(false);
  used.send(encodeMuxFrame(FRAME.reset, 1));
  await once(used, "close");
});
