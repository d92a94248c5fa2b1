import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { MAX_DATA_BYTES, WINDOW_BYTES } from "../../../src/base/mux/frames.ts";
import { Mux } from "../../../src/base/mux/mux.ts";
import type { VisitedVm } from "../../../src/http/actor-visits.ts";
import { MAX_TUNNEL_BYTES_PER_VM } from "../../../src/http/limits.ts";
import { TunnelConnection } from "../../../src/http/tunnels/tunnel-connection.ts";
import { Tunnels } from "../../../src/http/tunnels/tunnels.ts";

vi.mock("../../../src/http/limits.ts", async (load) => ({
  ...(await load<typeof import("../../../src/http/limits.ts")>()),
  MAX_TUNNEL_BYTES_PER_VM: 384 * 1024,
}));

/** Starts a server that ends each connection and reads nothing. */
async function startUnread(): Promise<number> {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => undefined);
    socket.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

test("a cut frees the bytes of a connection that has ended in both directions", async () => {
  const port = await startUnread();
  const sockets: net.Socket[] = [];
  const visited = {
    vm: {
      openTunnel: async () => {
        const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
        onTestFinished(() => void socket.destroy());
        sockets.push(socket);
        await once(socket, "connect");
        return socket;
      },
    },
    monitor: { called: () => undefined, log: { error: () => undefined } },
  } as unknown as VisitedVm;
  const tunnels = new Tunnels();
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  onTestFinished(() => void server.close());
  await once(server, "listening");
  server.on("connection", (socket) => {
    const deps = { actorId: "a", who: undefined as never, tunnels, exists: () => true };
    new TunnelConnection(socket, { ...deps, visit: async (work) => await work(visited) });
  });
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  onTestFinished(() => client.terminate());
  await once(client, "open");
  const mux = new Mux(
    "client",
    { send: (message) => client.send(message), waiting: () => 0 },
    { onOpen: () => undefined },
  );
  client.on("message", (message: Buffer) => mux.receive(message));

  /** Opens a connection and sends whenever it may. */
  const fill = () => {
    const stream = mux.open({ port });
    const piece = new Uint8Array(MAX_DATA_BYTES);
    stream.onWritable = () => {
      while (stream.write(piece));
    };
    stream.onOpened = stream.onWritable;
    return stream;
  };
  const first = fill();
  await new Promise<void>((resolve) => {
    first.onEnd = resolve;
  });
  let seen = 0;
  // The kernel takes no more when the number stays.
  await expect
    .poll(
      () => {
        const isSteady = seen === tunnels.waiting.total;
        seen = tunnels.waiting.total;
        return isSteady ? seen : 0;
      },
      { timeout: 10_000 },
    )
    .toBeGreaterThan(WINDOW_BYTES);
  first.end();
  await expect.poll(() => sockets[0]?.writableEnded).toBe(true);
  expect([sockets[0]?.destroyed, first.isClosed]).toEqual([false, true]);
  fill();
  await expect.poll(() => sockets[0]?.destroyed).toBe(true);
  expect(tunnels.waiting.total).toBeLessThanOrEqual(MAX_TUNNEL_BYTES_PER_VM);
});
