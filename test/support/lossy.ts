import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";

/** Starts a relay that can hold all bytes back without closing a connection, as TCP does while packets are lost. */
export async function startLossy(target: number) {
  const sockets = new Set<Socket>();
  let isLost = false;
  const pass = (from: Socket, to: Socket) => {
    sockets.add(from);
    from.on("data", (bytes) => to.write(bytes));
    from.on("error", () => to.destroy());
    from.on("close", () => to.destroy());
    if (isLost) from.pause();
  };
  const relay = {
    connections: 0,
    lose(isNow: boolean) {
      isLost = isNow;
      for (const socket of sockets) isNow ? socket.pause() : socket.resume();
    },
  };
  const server = createServer((client) => {
    relay.connections += 1;
    const engine = connect(target, "127.0.0.1");
    pass(client, engine);
    pass(engine, client);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return Object.assign(relay, { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}
