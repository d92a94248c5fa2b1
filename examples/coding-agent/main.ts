// Starts the service of service.ts and uses it as a page would: `npm run example examples/coding-agent/main.ts`.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { disposeAll, listen, setup, vmActor } from "agent-vm";
import { createClient } from "agent-vm/client";
import { startService } from "./service.ts";

const dataDir = mkdtempSync(join(tmpdir(), "agent-vm-coding-agent-"));
process.once("exit", () => rmSync(dataDir, { recursive: true, force: true }));

// An agent of docs/agents.md goes here. This one is examples/own-agent.js.
const own = {
  command: "node",
  args: ["/opt/own-agent/own-agent.js"],
  mounts: [{ from: join(import.meta.dirname, ".."), to: "/opt/own-agent" }],
};
const registry = setup({
  use: { vm: vmActor({ agents: { own } }) },
  port: Number(process.env.PORT ?? 6421),
  dataDir,
});
const server = await listen(registry);
const client = createClient<typeof registry>({ endpoint: server.endpoint });
const service = await startService(client.vm, "own");

/** An answer of the service. */
interface Answer {
  id: string;
  state: string;
  text: string;
  permission?: { description: string };
}

const call = async (method: string, path: string, body?: object) => {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  return (await (await fetch(service.url + path, { method, ...sent })).json()) as Answer;
};

const { id } = await call("POST", "/tasks", { user: "alice", prompt: "buy milk" });
const asked = await call("GET", `/tasks/${id}`);
console.log(asked.state, "|", asked.permission?.description);
await call("POST", `/tasks/${id}/answer`, { reply: "once" });
const ended = await call("GET", `/tasks/${id}`);
console.log(ended.state, "|", ended.text);
console.log(JSON.stringify(await call("GET", `/tasks/${id}/changes`)));
await call("POST", `/tasks/${id}/undo`, {});
console.log("after undo:", JSON.stringify(await call("GET", `/tasks/${id}/changes`)));

await service.close();
await client.dispose();
await server.close();
await disposeAll("destroy");
// RivetKit's timers would keep the process running
process.exit();
