// Runs cells of two users in the interpreters of interpreter.ts: `npm run example examples/code-interpreter/main.ts`.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { disposeAll, listen, setup, vmActor } from "agent-vm";
import { createClient } from "agent-vm/client";
import { Interpreters } from "./interpreter.ts";

const dataDir = mkdtempSync(join(tmpdir(), "agent-vm-interpreter-"));
process.once("exit", () => rmSync(dataDir, { recursive: true, force: true }));

// Each user gets little memory and no network, and all users together at most 100 VMs
const registry = setup({
  use: {
    vm: vmActor({
      limits: { memoryBytes: 512 * 1024 ** 2, processes: 64, filesystemBytes: 256 * 1024 ** 2 },
      destroyAfterMs: 24 * 60 * 60_000,
    }),
  },
  quota: { maxVms: 100, maxAwake: 20 },
  port: Number(process.env.PORT ?? 6421),
  dataDir,
});
const server = await listen(registry);
const client = createClient<typeof registry>({ endpoint: server.endpoint });
const interpreters = new Interpreters(client.vm, { cellsPerMinute: 5, cellTimeoutMs: 2_000 });

const show = async (user: string, code: string) => {
  const { printed, value, error } = await interpreters.run(user, code);
  console.log(`${user}> ${code}\n${printed}${value ?? ""}${error?.split("\n").at(-1) ?? ""}`);
};

await show("alice", "x = 20");
await show("alice", "print('x is', x); x + 1");
await show("bob", "x");
await show("alice", "while True: pass");
await show("alice", "sum(range(10))");
try {
  for (const number of [1, 2]) await show("alice", String(number));
} catch (error) {
  console.log((error as Error).message);
}

await interpreters.close();
await client.dispose();
await server.close();
await disposeAll("destroy");
// RivetKit's timers would keep the process running
process.exit();
