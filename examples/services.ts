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
await conn.startService({
  name: "web",
  command: "node",
  args: ["/workspace/server.js"],
  port: 3000,
  restart: "always",
});

// A request waits until the service is ready
const read = async () => new TextDecoder().decode((await conn.vmFetch(3000, "/")).body);
console.log(await read());

// The service is there again after a sleep
await agent.sleep();
console.log(await read());

await conn.stopService("web", { remove: true });
await conn.dispose();
