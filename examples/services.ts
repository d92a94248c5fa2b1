import { createClient } from "agent-vm/client";
import type { registry } from "agent-vm/server";

const client = createClient<typeof registry>({ endpoint: process.env.ENDPOINT ?? "http://localhost:6420" });
const agent = client.vm.getOrCreate("services");
const conn = agent.connect();

// Follow the states of the services
conn.on("serviceChanged", ({ name, state }) => console.log(name, state));

await conn.writeFile(
  "/workspace/server.js",
  'require("http").createServer((_, response) => response.end("hello")).listen(3000, "127.0.0.1");',
);
/** Starts the service in some way, and prints its answer once its state is told. */
async function answerAfter(start: () => Promise<unknown>): Promise<void> {
  const ready = new Promise<void>((resolve) => {
    const stop = conn.on("serviceChanged", ({ state }) => {
      if (state !== "ready") return;
      stop();
      resolve();
    });
  });
  await start();
  // A request waits until the service is ready
  const { body } = await conn.vmFetch(3000, "/");
  await ready;
  console.log(new TextDecoder().decode(body));
}

await answerAfter(() =>
  conn.startService({
    name: "web",
    command: "node",
    args: ["/workspace/server.js"],
    port: 3000,
    restart: "always",
  }),
);

// The service is there again after a sleep
await answerAfter(() => agent.sleep());

await conn.stopService("web", { remove: true });
await conn.dispose();
