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
];

test.each(OTHER_SPELLINGS)("the server refuses %s before it reads a body", async (target) => {
  expect(isPlainTarget(target)).toBe(false);
  const socket = connect(server().port, "127.0.0.1");
  const answer = new Promise<string>((resolve, reject) => {
    let text = "";
    socket.setEncoding("utf8").on("data", (piece) => {
      text += piece;
    });
    socket.once("close", () => resolve(text));
    socket.once("error", reject);
  });
  // The body never comes.
  socket.write(
    `PUT ${target} HTTP/1.1\r\nHost: 127.0.0.1:${server().port}\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n`,
  );
  expect((await answer).split("\r\n")[0]).toBe("HTTP/1.1 400 Bad Request");
});
