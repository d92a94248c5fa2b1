import type { VmOptions } from "./options.ts";
import { createSandboxFactory } from "./sandbox/factory.ts";
import type { SandboxFactory } from "./sandbox/sandbox.ts";
import { agentsOf } from "./sessions/agents/index.ts";

/** What VMs of these options boot in: their sandbox, and in it the agents that their sessions may start. */
export function vmSandbox(options: VmOptions): SandboxFactory {
  return createSandboxFactory(options, () => agentsOf(options).mounts);
}
