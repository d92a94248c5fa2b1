import { onTestFinished } from "vitest";
import type { VmActorOptions } from "../../src/actors/vm.ts";
import { freePort } from "./free-port.ts";
import { createClient, listen, setup, vmActor } from "./library.ts";
import { dataFolder } from "./temporary-folder.ts";

/** A server in this process whose VMs have options of the test's own, and a client of it; both end with the test. */
export async function startOwnServer(options: VmActorOptions) {
  const registry = setup({ use: { vm: vmActor(options) }, port: await freePort(), dataDir: dataFolder() });
  const { endpoint, close } = await listen(registry);
  const client = createClient<typeof registry>({ endpoint });
  onTestFinished(async () => {
    await client.dispose();
    await close();
  });
  return { client, endpoint };
}
