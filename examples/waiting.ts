// Answers the questions of a program: `npm run example examples/waiting.ts`.
import { createClient } from "agent-vm/client";
import type { registry } from "agent-vm/server";

const client = createClient<typeof registry>({ endpoint: process.env.ENDPOINT ?? "http://localhost:6420" });
const conn = client.vm.getOrCreate("my-agent").connect();

const answers = ["blue", "yes"];
conn.on("waitingForInput", async ({ shellId, waiting, command }) => {
  if (!waiting || shellId === null) return;
  const answer = answers.shift() ?? "";
  console.log(`${command} waits for input: ${answer}`);
  await conn.writeShell(shellId, `${answer}\n`);
});

const script = 'read -p "colour? " colour; read -p "sure? " sure; [ "$sure" = yes ] && exit 0';
const { shellId } = await conn.openShell({ command: "bash", args: ["-c", script] });
console.log(`exit code ${await conn.waitShell(shellId)}`);
await client.dispose();
