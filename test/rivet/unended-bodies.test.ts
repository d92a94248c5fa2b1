// @module-tag slow
// @module-tag attack
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { expect, test } from "vitest";
import { makeActor } from "../support/plain-actor.ts";
import { startTestServer } from "../support/servers.ts";
import { until } from "../support/until.ts";

/** Bodies of calls of this size fit MAX_CLIENTS_BACKLOG_BYTES (256 MiB) eight times. */
const BODY = Buffer.concat([Buffer.from('{"args":["'), Buffer.alloc(30 << 20, "x")]);
const BODIES = 14;

test("bodies without an end are bounded for all clients together, and the heaviest connections are cut", async () => {
  const server = await startTestServer({ kind: "fake", process: true });
  const actorId = await makeActor(server);
  const sockets = new Set<Socket>();
  const client = server.client();
  try {
    for (let count = 0; count < BODIES; count++) {
      const socket = connect(server.port, "127.0.0.1");
      socket.on("error", () => socket.destroy());
      socket.once("close", () => sockets.delete(socket));
      sockets.add(socket.resume());
      await once(socket, "connect");
      socket.write(
        `POST /gateway/${actorId}/action/exists HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${BODY.length + 1}\r\n\r\n`,
      );
      const sent = new Promise((resolve) => socket.write(BODY, resolve));
      await Promise.race([sent, once(socket, "close").catch(() => undefined)]);
    }
    await until(() => sockets.size * BODY.length <= 256 << 20);
    expect(sockets.size).toBeGreaterThan(0);
    expect(await client.vm.getOrCreate("flood").exists("/x")).toBe(false);
  } finally {
    for (const socket of sockets) socket.destroy();
    await server.stop();
  }
});
