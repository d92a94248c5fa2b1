import type { VmServer } from "../http/vm-binding.ts";
import { isDraining } from "../monitoring/draining.ts";
import type { VmDefinition } from "../runtime/vm-definition.ts";

/** Definitions of the actors of this process that have booted a VM. */
const definitions = new Set<VmDefinition>();

/** `closeDefinitions` will close this definition. */
export function keepDefinition(definition: VmDefinition): void {
  definitions.add(definition);
}

/** Releases what the VMs of this process share. Never rejects. */
export async function closeDefinitions(): Promise<void> {
  const all = [...definitions];
  definitions.clear();
  await Promise.allSettled(all.map((definition) => definition.close()));
}

/** Boots VMs of a definition ahead, as long as its server has room for them. */
export function warm(definition: VmDefinition, server: Pick<VmServer, "directory" | "monitor">): void {
  if (definition.options.pool.size === 0) return;
  keepDefinition(definition);
  definition.warm({
    places: () => (isDraining() ? 0 : (server.directory?.places ?? Number.POSITIVE_INFINITY)),
    onFailure: (error) => server.monitor.log.warn({ msg: "no VM could be booted ahead", err: error }),
  });
}
