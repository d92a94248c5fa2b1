import { createClient } from "agent-vm/client";
import type { registry } from "agent-vm/server";

const client = createClient<typeof registry>({ endpoint: process.env.ENDPOINT ?? "http://localhost:6420" });
const agent = client.vm.getOrCreate("my-agent");
const conn = agent.connect();

const exited = new Promise<void>((resolve) => {
  // Subscribe to process output
  conn.on("processOutput", (data) => {
    const text = new TextDecoder().decode(data.data);
    console.log(`[${data.stream}] ${text.trimEnd()}`);
  });
  conn.on("processExit", (data) => {
    console.log(`exited with code ${data.exitCode}`);
    resolve();
  });
});

// Write a program
await conn.writeFile(
  "/home/agentos/server.js",
  'console.log("listening"); console.error("no requests yet");',
);

// Spawn it; its output arrives as events
const { pid } = await conn.spawn("node", ["/home/agentos/server.js"]);
console.log("Started process:", pid > 0);

await exited;
await conn.dispose();
