// Adds actions, state, events and hooks of a server to its VMs: `npm run example examples/extend.ts`.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { disposeAll, listen, setup, vmActor } from "agent-vm";
import { createClient } from "agent-vm/client";
import { event } from "agent-vm/rivetkit";

const dataDir = mkdtempSync(join(tmpdir(), "agent-vm-extend-"));
process.once("exit", () => rmSync(dataDir, { recursive: true, force: true }));

const registry = setup({
  use: {
    vm: vmActor({
      limits: { filesystemBytes: 64 * 1024 * 1024 },
      state: { builds: 0 },
      events: { built: event<{ target: string; builds: number }>() },
      actions: {
        async build(c, target: string) {
          const { exitCode } = await c.vm.execArgv("make", ["-C", "/workspace", target]);
          c.state.builds += 1;
          c.broadcast("built", { target, builds: c.state.builds });
          return exitCode;
        },
      },
      resolveOptions: (c) => ({ env: { TENANT: c.key[0] ?? "" } }),
      async onVmStart(_c, vm) {
        await vm.writeFile("/workspace/Makefile", "all:\n\techo built for $$TENANT > out\n");
      },
      onLimitWarning: (c, { limit }) => console.log(`${c.key[0]} has used 80 % of ${limit}`),
      onProcessExit: (c, { exitCode }) => console.log(`a process of ${c.key[0]} exits with ${exitCode}`),
    }),
  },
  port: Number(process.env.PORT ?? 6421),
  dataDir,
});
const server = await listen(registry);
const client = createClient<typeof registry>({ endpoint: server.endpoint });

const conn = client.vm.getOrCreate("acme").connect();
const built = new Promise<{ target: string; builds: number }>((resolve) => {
  conn.on("built", resolve);
});
console.log(`exit code ${await conn.build("all")}`);
const { target, builds } = await built;
console.log(`built ${target}, ${builds} so far`);
console.log((await conn.exec("cat /workspace/out")).stdout.trim());
const { pid } = await conn.spawn("sh", ["-c", "exit 3"]);
await conn.waitProcess(pid);
await conn.exec("head -c 56M /dev/zero > /workspace/large");
// Measures now what the server measures from time to time
await conn.usage();

await client.dispose();
await server.close();
await disposeAll("destroy");
// RivetKit's timers would keep the process running
process.exit();
