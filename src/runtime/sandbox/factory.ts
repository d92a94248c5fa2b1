import type { SoftwareMount, VmOptions } from "../options.ts";
import { KernelSandboxFactory } from "./kernel/factory.ts";
import { MemorySandboxFactory } from "./memory/memory-sandbox.ts";
import type { SandboxFactory } from "./sandbox.ts";

/**
 * The kind of sandbox that the options ask for.
 *
 * @param more what of the host its VMs see besides the options' `software`
 */
export function createSandboxFactory(
  options: VmOptions,
  more?: () => readonly SoftwareMount[],
): SandboxFactory {
  if (options.runtime === "memory") return new MemorySandboxFactory(options);
  return new KernelSandboxFactory(options, undefined, more);
}
