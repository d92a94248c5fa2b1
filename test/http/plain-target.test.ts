// @module-tag attack
import { connect } from "node:net";
import { expect, test } from "vitest";
import { isPlainTarget } from "../../src/http/plain-target.ts";
import { sharedServer } from "../support/servers.ts";

const server = sharedServer();

test.each([
  "/",
  "/actors",
  "/actors?name=vm&key=%2F",
  "/vms?name=vm&options=%7B%7D",
  "/gateway/0123abcd/action/exec",
  "/gateway/0123abcd@to%2Fken/action/exec",
  "/gateway/0123abcd/request/a%20b",
  "/gateway/0123abcd/request/a%5Cb%0A..c",
])("%s has one spelling", (target) => {
  expect(isPlainTarget(target)).toBe(true);
});

const OTHER_SPELLINGS = [
  "/%61ctors",
  "/actors#x",
  "//host/actors",
  "http://host/actors",
  "/./actors",
  "/x/../actors",
  "/x/%2e%2E/actors",
  "/\\actors",
  "/gateway/0123abcd/%61ction/exec",
  "/gateway/%30123abcd/action/exec",
  "/gateway/0123abcd/request/../action/exec",
  "/gateway/0123abcd/request/%2e%2e/action/exec",
  "/gateway/0123abcd/request/..%5Caction/exec",
  "/gateway/0123abcd/request/a%5c..%5C..%5Caction/exec",
  "/gateway/0123abcd/request/.%09./action/exec",
  "/gateway/0123abcd/request/%0A.%0D%2e%0a/action/exec",
];

/** Sends a request's head, and returns the first line of the answer when the server has closed the connection. */
async function firstLine(head: readonly string[]): Promise<string | undefined> {
  const socket = connect(server().port, "127.0.0.1");
  const answer = new Promise<string>((resolve, reject) => {
    let text = "";
    socket.setEncoding("utf8").on("data", (piece) => {
      text += piece;
    });
    socket.once("close", () => resolve(text));
    socket.once("error", reject);
  });
  socket.write(`${head.join("\r\n")}\r\n\r\n`);
  return (await answer).split("\r\n")[0];
}

test.each(OTHER_SPELLINGS)("the server refuses %s before it reads a body", async (target) => {
  expect(isPlainTarget(target)).toBe(false);
  // The body never comes.
  const head = [
    `Host: 127.0.0.1:${server().port}`,
    "Content-Type: application/json",
    "Content-Length: 1000000",
  ];
  expect(await firstLine([`PUT ${target} HTTP/1.1`, ...head])).toBe("HTTP/1.1 400 Bad Request");
});

test.each([
  ["a request", []],
  [
    "a WebSocket",
    ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: AA==", "Sec-WebSocket-Version: 13"],
  ],
])("the server refuses %s with two headers Host", async (_what, more) => {
  const hosts = [`Host: 127.0.0.1:${server().port}`, "hOst: other.example"];
  const close = more.length === 0 ? ["Connection: close"] : [];
  expect(await firstLine(["GET /health HTTP/1.1", ...hosts, ...close, ...more])).toBe(
    "HTTP/1.1 400 Bad Request",
  );
});
