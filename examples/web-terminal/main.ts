// Starts the page of bridge.ts and types into a terminal as a page would: `npm run example examples/web-terminal/main.ts`.
import { createClient } from "agent-vm/client";
import type { registry } from "agent-vm/server";
import { WebSocket } from "ws";
import { startBridge } from "./bridge.ts";

const client = createClient<typeof registry>({ endpoint: process.env.ENDPOINT ?? "http://localhost:6420" });
const bridge = await startBridge(client.vm);
const visitor = crypto.randomUUID();

/** Types a line as a visitor. @returns the output, once it has the expected text */
async function type(line: string, expected: string): Promise<string> {
  const socket = new WebSocket(`${bridge.url.replace("http", "ws")}/terminal?visitor=${visitor}`);
  let screen = "";
  socket.on("open", () => socket.send(JSON.stringify({ input: `${line}\r` })));
  await new Promise<void>((resolve) => {
    socket.on("message", (data) => {
      screen += String(data);
      if (screen.includes(expected)) resolve();
    });
  });
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.close();
  await closed;
  return screen;
}

console.log((await (await fetch(bridge.url)).text()).includes("<title>Terminal</title>"));
await type("color=blue; echo $((6 * 7)) is ready", "42 is ready");
// The second connection finds the same shell
console.log((await type("echo my color is $color", "color is blue")).includes("my color is blue"));

bridge.close();
await client.vm.get(["terminal", visitor]).destroy();
await client.dispose();
