import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { relaySockets } from "../../../../src/runtime/network/requests/relay-sockets.ts";

const server = createServer({ allowHalfOpen: true });
beforeAll(async () => {
  await once(server.listen(0, "127.0.0.1"), "listening");
});
afterAll(() => void server.close());

/** Opens a connection. @returns both ends */
async function pair(allowHalfOpen = false): Promise<[Socket, Socket]> {
  const accepted = once(server, "connection");
  const { port } = server.address() as AddressInfo;
  const near = connect({ port, host: "127.0.0.1", allowHalfOpen });
  const [far] = (await accepted) as [Socket];
  return [near, far];
}

test("bytes pass both ways, and the end of one side ends the other", async () => {
  const [user, client] = await pair();
  const [other, program] = await pair();
  relaySockets(client, other);
  user.write("to the program");
  expect(String((await once(program, "data"))[0])).toBe("to the program");
  program.write("to the user");
  expect(String((await once(user, "data"))[0])).toBe("to the user");
  const closed = once(user, "close");
  program.destroy();
  user.resume();
  await closed;
});

test("a client that has left before the relay began leaves no connection behind", async () => {
  const [user, client] = await pair();
  const [other, program] = await pair();
  user.destroy();
  client.destroy();
  await once(client, "close");
  relaySockets(client, other);
  program.resume();
  await once(program, "end");
  expect(other.destroyed).toBe(true);
  program.destroy();
});

test("a connection that one side has ended is cut when the other side neither sends nor ends", async () => {
  for (const isClients of [true, false]) {
    const [user, client] = await pair(true);
    const [other, program] = await pair(true);
    relaySockets(client, other, 50);
    const [ending, silent] = isClients ? [user, program] : [program, user];
    const closed = [client, other].map((socket) => once(socket, "close"));
    silent.resume();
    ending.resume().end();
    await Promise.all(closed);
    for (const socket of [user, program]) socket.destroy();
  }
});
