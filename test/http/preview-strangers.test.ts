// @module-tag attack
import net, { type Socket } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { startTestServer, type TestServer } from "../support/servers.ts";
import { startHttpServer } from "../support/vm-servers.ts";

const MOST = 6;

/** Answer to a connection too many. */
const REFUSED = /MAX_STRANGERS_PER_ADDRESS|^reset$/;

vi.mock("../../src/http/limits.ts", async (load) => ({
  ...(await load<typeof import("../../src/http/limits.ts")>()),
  MAX_STRANGERS_PER_ADDRESS: 6,
}));

/** Opens a connection and sends a request. @returns the answer so far, which grows */
async function send(port: number, from: string, lines: readonly string[]): Promise<() => string> {
  let answer = "";
  const socket: Socket = net.connect({ port, host: "127.0.0.1", localAddress: from });
  onTestFinished(() => void socket.destroy());
  socket.on("data", (data) => {
    answer += data;
  });
  // The reset of a refused connection may overtake the answer.
  socket.on("error", () => {
    answer ||= "reset";
  });
  await new Promise((resolve) => socket.once("connect", resolve).once("close", resolve));
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  return () => answer;
}

/** Waits for the answer to a request. */
async function answered(answer: () => string, until: string): Promise<string> {
  await expect.poll(answer).toMatch(new RegExp(`${until}|${REFUSED.source}`));
  return answer();
}

/** Sends a request over many connections at once, before the server closes the first idle one. @returns the answers */
async function sendMany(port: number, from: string, count: number, lines: readonly string[], until: string) {
  const answers: (() => string)[] = [];
  for (let index = 0; index < count; index++) answers.push(await send(port, from, lines));
  return Promise.all(answers.map((answer) => answered(answer, until)));
}

const refused = (answers: readonly string[]) => answers.filter((answer) => REFUSED.test(answer)).length;

const UPGRADE = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

async function startServer(): Promise<{ server: TestServer; asked: () => number; path: string }> {
  let asked = 0;
  const server = await startTestServer({
    kind: "kernel",
    options: {
      token: "secret",
      authorize: () => {
        asked += 1;
        return new Promise(() => undefined);
      },
    },
  });
  return { server, asked: () => asked, path: `/request/fetch/${"a".repeat(32)}` };
}

test("a connection counts as one without access until a preview serves it", async () => {
  const { server, path, asked } = await startServer();
  const vm = server.client({ token: "secret" }).vm.getOrCreate("one");
  await startHttpServer(vm, 3000);
  const { pathUrl } = await vm.createSignedPreviewUrl(3000);
  const preview = new URL(pathUrl).pathname;
  const gateway = preview.slice(0, preview.indexOf("/request/"));
  const { port } = server;
  const made = gateway + path;
  const kinds: [title: string, lines: string[], until: string][] = [
    ["a preflight", [`OPTIONS ${made}/ HTTP/1.1`, "Host: x"], "204"],
    ["a page without a final slash", [`GET ${made} HTTP/1.1`, "Host: x", "Accept: text/html"], "307"],
    ["an absolute link", ["GET /app.js HTTP/1.1", "Host: x", `Referer: http://x${made}/`], "307"],
  ];
  for (const [index, [title, lines, until]] of kinds.entries()) {
    const answers = await sendMany(port, `127.0.1.${index + 1}`, MOST + 2, lines, until);
    expect(refused(answers), title).toBe(2);
  }
  // An upgrade waits for the decision about its access.
  const connect = [`GET ${gateway}/connect HTTP/1.1`, "Host: x", ...UPGRADE];
  for (let count = 0; count < MOST; count++) await send(port, "127.0.1.9", connect);
  await expect.poll(asked).toBe(MOST);
  const surplus = await send(port, "127.0.1.9", connect);
  await expect.poll(surplus).toMatch(REFUSED);

  const served = [`GET ${preview}hello HTTP/1.1`, "Host: x"];
  const answers: string[] = [];
  for (let count = 0; count < MOST + 2; count++)
    answers.push(await answered(await send(port, "127.0.2.1", served), "hello"));
  expect(refused(answers)).toBe(0);
});

test("a connection of a preview counts as one without access again when its request has ended, and makes room for others", async () => {
  const { server } = await startServer();
  const vm = server.client({ token: "secret" }).vm.getOrCreate("idle");
  await startHttpServer(vm, 3000);
  const { pathUrl } = await vm.createSignedPreviewUrl(3000);
  const preview = new URL(pathUrl).pathname;
  const isOpen: (() => boolean)[] = [];
  const ask = async (path: string, until: string) => {
    const socket = net.connect({ port: server.port, host: "127.0.0.1", localAddress: "127.0.3.1" });
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => undefined);
    isOpen.push(() => !socket.closed);
    let answer = "";
    socket.on("data", (data) => {
      answer += data;
    });
    const send = () => socket.write(`GET ${preview}${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    send();
    await expect.poll(() => answer).toContain(until);
    return { send, answer: () => answer };
  };
  const running = await ask("slow", "first");
  for (let count = 0; count < MOST * 2; count++) await ask("status/204", "204 No Content");
  await expect.poll(() => isOpen.filter((each) => each()).length).toBe(MOST + 1);
  expect(isOpen[0]?.()).toBe(true);
  // The oldest of the idle connections were cut. The newest ones take further requests.
  expect(isOpen.slice(1, MOST + 1).some((each) => each())).toBe(false);
  const last = await ask("status/204", "204 No Content");
  last.send();
  await expect.poll(() => last.answer().split("204 No Content").length).toBe(3);
  await vm.vmFetch(3000, "/go");
  await expect.poll(running.answer).toContain("second");
});
