// Talks to an agent in the terminal, one prompt a line: `npm run example examples/session.ts [agent]`.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { disposeAll, listen, setup, vmActor } from "agent-vm";
import { createClient } from "agent-vm/client";

const dataDir = mkdtempSync(join(tmpdir(), "agent-vm-session-"));
process.once("exit", () => rmSync(dataDir, { recursive: true, force: true }));

const registry = setup({
  use: {
    vm: vmActor({
      agents: {
        own: {
          command: "node",
          args: ["/opt/own-agent/own-agent.js"],
          mounts: [{ from: import.meta.dirname, to: "/opt/own-agent" }],
        },
      },
    }),
  },
  port: Number(process.env.PORT ?? 6421),
  dataDir,
});
const server = await listen(registry);
const client = createClient<typeof registry>({ endpoint: server.endpoint });
const conn = client.vm.getOrCreate("my-agent").connect();
const terminal = createInterface({ input: process.stdin });
const lines = terminal[Symbol.asyncIterator]();
const readLine = async () => ((await lines.next()) as IteratorResult<string, undefined>).value;

const agentType = process.argv[2] ?? "own";
const { sessionId, agentInfo } = await conn.createSession(agentType);
console.log(`A session with ${agentInfo?.name ?? agentType}.`);

// Print the agent's words as they arrive
conn.on("sessionEvent", ({ event }) => {
  if (event.method !== "session/update") return;
  const { update } = event.params;
  if (update.sessionUpdate === "agent_message_chunk" && update.content.type === "text")
    process.stdout.write(update.content.text);
});

// Ask the user when the agent asks for permission
conn.on("permissionRequest", async ({ request }) => {
  console.log(`\n[${request.description}] once, always or reject?`);
  const reply = (await readLine()) ?? "reject";
  await conn.respondPermission(sessionId, request.permissionId, reply);
});

console.log("What shall it do?");
for (let prompt = await readLine(); prompt; prompt = await readLine()) {
  const { response } = await conn.prompt(sessionId, prompt);
  console.log(response.error ? `\n${response.error.message}` : "\nWhat next?");
}

// The conversation as a document
const { data } = await conn.readTranscript(sessionId, { format: "markdown" });
console.log(data.match(/^## \w+/gm)?.join(", ") ?? "Nothing was said.");

await conn.destroySession(sessionId);
await conn.dispose();
await client.dispose();
await server.close();
await disposeAll("destroy");
// RivetKit's timers would keep the process running
process.exit();
