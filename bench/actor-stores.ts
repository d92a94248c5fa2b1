import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { actor } from "rivetkit";
import { createClient } from "rivetkit/client";
import { listen, setup } from "../src/index.ts";
import { type ActorKv, kvStore } from "../src/rivet/kv-store.ts";
import type { Store } from "../src/runtime/store/store.ts";
import { freePort } from "../test/support/free-port.ts";

/** RivetKit's storage for VMs without actors of their own: the stores of actors that do nothing else. */
export interface ActorStores extends AsyncDisposable {
  /** Returns the store of a key. */
  open(key: string): Promise<Store>;
}

/** Starts a server with a data folder of its own, which its end deletes. */
export async function actorStores(): Promise<ActorStores> {
  const stores = new Map<string, ActorKv>();
  const holder = actor({
    actions: {
      open: (c) => {
        stores.set(c.actorId, c.kv);
        return c.actorId;
      },
    },
  });
  const dataDir = await mkdtemp(join(tmpdir(), "agent-vm-bench-"));
  const registry = setup({ use: { holder }, port: await freePort(), dataDir });
  const { endpoint, close } = await listen(registry);
  const client = createClient<typeof registry>({ endpoint, disableMetadataLookup: true });
  return {
    async open(key) {
      const id = await client.holder.getOrCreate(key).open();
      return kvStore(stores.get(id) as ActorKv);
    },
    async [Symbol.asyncDispose]() {
      await client.dispose();
      await close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
