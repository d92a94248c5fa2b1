import { createClient } from "agent-vm/client";
import type { registry } from "agent-vm/server";

const client = createClient<typeof registry>({ endpoint: process.env.ENDPOINT ?? "http://localhost:6420" });
const agent = client.vm.getOrCreate("dev-server");
await agent.writeFile(
  "/workspace/server.js",
  `require("node:http")
    .createServer((request, response) => response.end("<h1>Hello from " + request.url + "</h1>"))
    .listen(3000);`,
);
const { pid } = await agent.spawn("node", ["/workspace/server.js"]);
await agent.waitForPort(3000, { path: "/" });
for (const { port, address, command } of await agent.listPorts()) console.log(port, address, command);

// The client requests through the server, a browser through a preview URL.
const { status, body } = await agent.vmFetch(3000, "/client");
console.log(status, new TextDecoder().decode(body));
const { url, token } = await agent.createSignedPreviewUrl(3000, 600);
console.log(await (await fetch(`${url}browser`)).text());

await agent.expireSignedPreviewUrl(token);
console.log("after expiry:", (await fetch(url)).status);
await agent.killProcess(pid);
