// @module-tag attack
import { EventEmitter, once } from "node:events";
import { createServer, IncomingMessage, ServerResponse } from "node:http";
import { type AddressInfo, connect, Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { MAX_UNANSWERED } from "../../src/http/limits.ts";
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

test("a connection with too many requests without an answer is cut, and the others are not read", async () => {
  const server = createServer();
  let served = 0;
  putInFront(server, {
    request: () => {
      served += 1;
    },
    upgrade: () => undefined,
  });
  let read = 0;
  server.on("request", () => {
    read += 1;
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const socket = connect(port, "127.0.0.1").on("error", () => undefined);
  socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2_000));
  await once(socket, "close");
  expect([served, read]).toEqual([MAX_UNANSWERED, MAX_UNANSWERED + 1]);
});

test("a connection with as many requests as may wait gets all answers", async () => {
  const server = createServer();
  const waiting: ServerResponse[] = [];
  putInFront(server, {
    request: (_, response) => {
      if (waiting.push(response) === MAX_UNANSWERED) for (const each of waiting) each.end("answer");
    },
    upgrade: () => undefined,
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const socket = connect(port, "127.0.0.1");
  const last = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(MAX_UNANSWERED - 1) + last);
  let answers = "";
  socket.on("data", (data) => {
    answers += data;
  });
  await once(socket, "close");
  expect(answers.match(/answer/g)).toHaveLength(MAX_UNANSWERED);
});
