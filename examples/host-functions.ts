// Gives the programs of a VM a function of this server: `npm run example examples/host-functions.ts`.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { disposeAll, hostFunction, listen, setup, vmActor } from "agent-vm";
import { createClient } from "agent-vm/client";
import { z } from "zod";

const dataDir = mkdtempSync(join(tmpdir(), "agent-vm-host-functions-"));
process.once("exit", () => rmSync(dataDir, { recursive: true, force: true }));

const stock = new Map([["apples", 3]]);

const registry = setup({
  use: {
    vm: vmActor({
      hostFunctions: {
        shop: {
          order: hostFunction({
            inputSchema: z
              .object({
                item: z.string().max(100).describe("Name of the item"),
                count: z.int().min(1).default(1),
              })
              .describe("Orders an item"),
            async execute({ item, count }, { vm, progress }) {
              await progress(`looking for ${item}`);
              const left = (stock.get(item) ?? 0) - count;
              if (left < 0) throw new Error(`Not enough ${item}`);
              stock.set(item, left);
              return { orderedBy: vm.key[0], item, count, left };
            },
          }),
        },
      },
    }),
  },
  port: Number(process.env.PORT ?? 6421),
  dataDir,
});
const server = await listen(registry);
const client = createClient<typeof registry>({ endpoint: server.endpoint });
const vm = client.vm.getOrCreate("customer");

for (const line of [
  "agentos-shop order --item apples --count 2",
  "agentos-shop order --item apples --count 2",
  "agentos-shop order",
]) {
  const { stdout, stderr, exitCode } = await vm.exec(line);
  console.log(`$ ${line}\n${stdout}${stderr}exit code: ${exitCode}`);
}

await client.dispose();
await server.close();
await disposeAll("destroy");
// RivetKit's timers would keep the process running
process.exit();
