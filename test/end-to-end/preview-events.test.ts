import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { startKernelServer } from "../support/kernel-server.ts";

const run = promisify(execFile);

/** Named events with ids. The second waits for a request of `/go`, the third for a client that says where it was. */
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

/** A program of the outside with a real EventSource; it asks for `/go` when the first event is there. */
const CLIENT = `
  const url = process.argv[1];
  const source = new EventSource(url);
  // Its pause before it comes back does not keep a program alive.
  const alive = setInterval(() => {}, 1000);
  const tell = ({ type, data, lastEventId }) => console.log(JSON.stringify({ type, data, lastEventId }));
  source.addEventListener("greeting", async (event) => { tell(event); await fetch(new URL("go", url)); });
  source.addEventListener("step", tell);
  source.onmessage = (event) => { tell(event); source.close(); clearInterval(alive); };`;

test("server-sent events come through a preview as they are sent, and a client that comes back says where it was", async () => {
  const { client } = await startKernelServer();
  const vm = client.vm.getOrCreate("events");
  await vm.spawn("node", ["-e", SERVER]);
  await vm.waitForPort(3000);
  const { url } = await vm.createSignedPreviewUrl(3000);
  const args = ["--experimental-eventsource", "--no-warnings", "-e", CLIENT, url];
  const { stdout } = await run(process.execPath, args, { timeout: 20_000 });
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
