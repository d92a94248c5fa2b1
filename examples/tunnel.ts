import { once } from "node:events";
import net from "node:net";
import { createClient } from "agent-vm/client";
import type { registry } from "agent-vm/server";

const client = createClient<typeof registry>({ endpoint: process.env.ENDPOINT ?? "http://localhost:6420" });
const agent = client.vm.getOrCreate("tunnel");
await agent.writeFile(
  "/workspace/server.js",
  `require("node:net")
    .createServer((socket) => socket.once("data", (name) => socket.end("Hello, " + name)))
    .listen(7000);`,
);
const { pid } = await agent.spawn("node", ["/workspace/server.js"]);
await agent.waitForPort(7000);

// A port of this machine leads to the port in the VM: any program may connect to it.
const tunnel = await agent.tunnel({ port: 7000 });
const socket = net.connect(tunnel.port, tunnel.host);
socket.write("client");
for await (const answer of socket) console.log(String(answer));
await tunnel.close();
await agent.killProcess(pid);

// A service of this machine has a name in the VM, if the policy allows it.
const service = net.createServer((connection) => connection.end("Hello from your machine\n"));
service.listen(0, "127.0.0.1");
await once(service, "listening");
const { port } = service.address() as net.AddressInfo;
await agent.setNetworkPolicy({ outbound: { allow: ["greeter.agent-vm:7000"] } });
const offer = await agent.tunnelOut({ name: "greeter", port: 7000, localPort: port });
const { stdout } = await agent.exec("cat < /dev/tcp/greeter.agent-vm/7000");
console.log(stdout.trim());
await offer.close();
service.close();
await client.dispose();
