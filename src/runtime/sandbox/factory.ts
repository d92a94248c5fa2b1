import type { VmOptions } from "../options.ts";
import { KernelSandboxFactory } from "./kernel/factory.ts";
import { MemorySandboxFactory } from "./memory/memory-sandbox.ts";
import type { SandboxFactory } from "./sandbox.ts";

/** The kind of sandbox that the options ask for. */
export function createSandboxFactory(options: VmOptions): SandboxFactory {
  return options.runtime === "memory" ? new MemorySandboxFactory(options) : new KernelSandboxFactory(options);
}
