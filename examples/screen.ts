// Shows a full-screen program to a client that joins later.
import { createClient } from "agent-vm/client";
import type { registry } from "agent-vm/server";

const client = createClient<typeof registry>({ endpoint: process.env.ENDPOINT ?? "http://localhost:6420" });
const agent = client.vm.getOrCreate("my-screen");
const first = agent.connect();

await agent.writeFile("/workspace/poem.txt", "roses are red\n".repeat(3));
const { shellId } = await first.openShell({ command: "less", args: ["/workspace/poem.txt"] });
while ((await first.readShell(shellId)).chunks.length === 0)
  await new Promise((done) => setTimeout(done, 50));

// Another client joins, and sees what the first one sees.
const second = client.vm.getOrCreate("my-screen").connect();
const { seq, cols, rows, data } = await second.snapshotShell(shellId);
console.log(`${cols} x ${rows}:`, new TextDecoder().decode(data).split("roses are red").length - 1, "lines");

// Output with a greater number continues the screen.
const next = new Promise<boolean>((resolve) => {
  second.on("shellData", (chunk) => resolve(chunk.seq > seq));
});
await second.writeShell(shellId, "h");
console.log("goes on:", await next);

await first.closeShell(shellId);
await first.dispose();
await second.dispose();
