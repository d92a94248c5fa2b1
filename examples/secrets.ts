// A program in a VM uses an API with a key that it never has. The API is a server of this program.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { disposeAll, listen, setup, vmActor } from "agent-vm";
import { createClient } from "agent-vm/client";

const KEY = "sk-1234-5678";
const api = createServer(({ headers, url }, response) => {
  const isKnown = headers.authorization === `Bearer ${KEY}`;
  response.end(`${url} ${isKnown ? "welcome" : "who are you?"}, your key is ${headers.authorization}\n`);
});
await new Promise<void>((resolve) => api.listen(0, "127.0.0.1", resolve));
const address = api.address();
const host = `host.agent-vm:${typeof address === "object" ? address?.port : ""}`;

const dataDir = mkdtempSync(join(tmpdir(), "agent-vm-secrets-"));
process.once("exit", () => rmSync(dataDir, { recursive: true, force: true }));
const registry = setup({
  use: { vm: vmActor({ network: { outbound: { allow: [host] } } }) },
  port: Number(process.env.PORT ?? 6421),
  dataDir,
});
const server = await listen(registry);
const client = createClient<typeof registry>({ endpoint: server.endpoint });
const agent = client.vm.getOrCreate("my-agent");

await agent.setSecrets({
  API_KEY: {
    value: KEY,
    // "api.example.com" alone means https, whose connections the server opens for this host.
    hosts: [`http://${host}`],
    paths: ["/v1/*"],
    headers: { authorization: "Bearer {secret}" },
    mask: true,
  },
});
for (const path of ["/v1/models", "/admin"]) {
  const { stdout } = await agent.exec(`curl -sS http://${host}${path}`);
  console.log(stdout.trim());
}
for (const { name, carriedBy } of await agent.listSecrets()) console.log(name, carriedBy.join());

await client.dispose();
await server.close();
api.close();
api.closeAllConnections();
await disposeAll("destroy");
// RivetKit's timers would keep the process running
process.exit();
