import { createClient } from "agent-vm/client";
import type { registry } from "agent-vm/server";

const client = createClient<typeof registry>({ endpoint: process.env.ENDPOINT ?? "http://localhost:6420" });
const agent = client.vm.getOrCreate("locked-preview");
const { pid } = await agent.spawn("node", [
  "-e",
  "http.createServer((q, r) => r.end('the shop')).listen(3000)",
]);
await agent.waitForPort(3000);

// The name keeps the URL, also after a restart of the server. A browser gets a form for the password.
const password = "correct horse";
const shop = await agent.createPreview(3000, { name: "shop", auth: { password }, log: true });
console.log("without the password:", (await fetch(shop.url)).status);
const authorization = `Basic ${btoa(`any:${password}`)}`;
console.log("with it:", await (await fetch(shop.url, { headers: { authorization } })).text());

const again = await agent.createPreview(3000, { name: "shop", auth: { password }, log: true });
console.log("the same URL:", again.url === shop.url);
for (const { method, path, status } of await agent.getPreviewLog("shop")) console.log(method, path, status);

await agent.expireSignedPreviewUrl("shop");
await agent.killProcess(pid);
