import { Catalog } from "./host-functions/catalog.ts";
import type { VmOptions } from "./options.ts";
import { createSandboxFactory } from "./sandbox/factory.ts";
import { SandboxPool } from "./sandbox/pool/sandbox-pool.ts";
import type { SandboxFactory } from "./sandbox/sandbox.ts";
import { AgentRegistry, type Agents } from "./sessions/agents/registry.ts";
import { RootFilesystem } from "./tar/root-filesystem.ts";
import type { TestSeams } from "./test-seams.ts";

/** Everything that the VMs of one definition share. */
export interface VmShared {
  readonly options: VmOptions;
  /** Boots sandboxes. */
  readonly factory: SandboxFactory;
  /** Boots sandboxes too, and some of them ahead while it is open. `undefined`: all VMs boot when they are needed. */
  readonly pool: SandboxPool | undefined;
  readonly agents: Agents;
  /** Functions of the server that programs of the VMs call. */
  readonly hostFunctions: Catalog;
  /**
   * Files that a new VM starts with; `undefined`: only the files that every VM has.
   *
   * @param name the VM's choice among `perVm.rootFilesystems`. @default the option `rootFilesystem`
   */
  rootFilesystem(name: string | undefined): RootFilesystem | undefined;
  readonly seams: TestSeams;
}

/** Makes what the VMs of these options share. Nothing of the host is read before the first VM boots. */
export function openShared(options: VmOptions, seams: TestSeams = {}): VmShared {
  const agents = new AgentRegistry(options.agents);
  const hostFunctions = new Catalog(options);
  const provisions = () => [agents.provision, { callers: hostFunctions.programs }];
  const factory = seams.sandboxFactory ?? createSandboxFactory(options, provisions);
  const { size } = options.pool;
  const isPooled = size > 0 && factory.capabilities.has("processes");
  const { rootFilesystem: source } = options;
  const standard = source === undefined ? undefined : new RootFilesystem(source);
  const named = new Map(
    Object.entries(options.perVm.rootFilesystems).map(([name, source]) => [name, new RootFilesystem(source)]),
  );
  return {
    options,
    factory,
    pool: isPooled ? new SandboxPool(factory, options.limits, size) : undefined,
    agents,
    hostFunctions,
    rootFilesystem: (name) => (name === undefined ? standard : (named.get(name) ?? standard)),
    seams,
  };
}
