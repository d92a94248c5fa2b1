// @module-tag attack
import { EventEmitter } from "node:events";
import { createServer, IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { putInFront } from "../../src/http/server-front.ts";

/** Answers of one connection whose requests reach two fronts. They have no connection yet, as answers that wait for an earlier one. */
function waiting(count: number) {
  const server = createServer();
  const front = { request: (_: unknown, __: unknown, pass: () => void) => pass(), upgrade: () => undefined };
  putInFront(server, front);
  putInFront(server, front);
  const socket = new Socket();
  const closed: ServerResponse[] = [];
  const responses = Array.from({ length: count }, () => {
    const request = new IncomingMessage(socket);
    const response = new ServerResponse(request);
    response.on("close", () => closed.push(response));
    server.emit("request", request, response);
    return response;
  });
  return { socket, responses, closed };
}

test("answers that wait for an earlier answer close with their connection, each once", async () => {
  const { socket, responses, closed } = waiting(50);
  expect(socket.listenerCount("close")).toBeLessThan(EventEmitter.defaultMaxListeners);
  socket.destroy();
  await turn();
  expect(closed).toEqual(responses);
  expect(responses.every(({ destroyed }) => destroyed)).toBe(true);
});

test("an answer that has closed is forgotten", async () => {
  const { socket, responses, closed } = waiting(1);
  responses[0]?.emit("close");
  socket.destroy();
  await turn();
  expect(closed).toEqual(responses);
});
