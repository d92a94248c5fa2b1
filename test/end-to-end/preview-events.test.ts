import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { sharedServer } from "../support/servers.ts";

const server = sharedServer();
const run = promisify(execFile);

/** Sends named events with ids. The second waits for a request of `/go`, the third for a client with Last-Event-ID. */
const SERVER = `
  let go;
  const asked = new Promise((resolve) => { go = resolve; });
  http.createServer(async (request, response) => {
    if (request.url === "/go") { go(); return response.end(); }
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    const last = request.headers["last-event-id"];
    if (last !== undefined) return response.write("id: 3\\ndata: on from " + last + "\\n\\n");
    response.write(": a comment\\nretry: 10\\nid: 1\\nevent: greeting\\ndata: hällo\\n\\n");
    await asked;
    response.end("id: zwei\\nevent: step\\ndata: two\\ndata: lines\\n\\n");
  }).listen(3000);`;

/** A program outside the VM with a real EventSource. It requests `/go` after the first event. */
const CLIENT = `
  const url = process.argv[1];
  const source = new EventSource(url);
  // An EventSource that waits to reconnect does not keep the program alive.
  const alive = setInterval(() => {}, 1000);
  const print = ({ type, data, lastEventId }) => console.log(JSON.stringify({ type, data, lastEventId }));
  source.addEventListener("greeting", async (event) => { print(event); await fetch(new URL("go", url)); });
  source.addEventListener("step", print);
  source.onmessage = (event) => { print(event); source.close(); clearInterval(alive); };`;

test("a preview passes server-sent events as the app sends them, and Last-Event-ID as the client reconnects", async () => {
  const client = server().client();
  const vm = client.vm.getOrCreate("events");
  await vm.spawn("node", ["-e", SERVER]);
  await vm.waitForPort(3000);
  const { pathUrl: url } = await vm.createSignedPreviewUrl(3000);
  const args = ["--experimental-eventsource", "--no-warnings", "-e", CLIENT, url];
  const { stdout } = await run(process.execPath, args, { timeout: 60_000 });
  expect(
    stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
  ).toEqual([
    { type: "greeting", data: "hällo", lastEventId: "1" },
    { type: "step", data: "two\nlines", lastEventId: "zwei" },
    { type: "message", data: "on from zwei", lastEventId: "3" },
  ]);
});
