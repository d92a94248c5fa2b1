import type { VmLimits, VmOptions } from "../../options.ts";
import type { EnforcedLimits, RuntimeDescription, Sandbox } from "../sandbox.ts";
import { MemoryFileSystem } from "./memory-filesystem.ts";

/** Boots VMs with files in memory and without processes, for users' tests and for hosts without a kernel sandbox. */
export class MemorySandboxFactory {
  readonly #options: VmOptions;

  constructor(options: VmOptions) {
    this.#options = options;
  }

  async describe(): Promise<RuntimeDescription> {
    return { isolation: "memory runtime: files only, no processes", network: "none", visible: "nothing" };
  }

  async enforced({ filesystemBytes }: VmLimits): Promise<EnforcedLimits> {
    return { filesystemBytes, memory: false };
  }

  async boot(signal: AbortSignal, limits: VmLimits = this.#options.limits): Promise<Sandbox> {
    signal.throwIfAborted();
    const files = new MemoryFileSystem(limits);
    // The VM has no processes: it cannot crash, and `halt` has nothing to kill.
    const crashed = new Promise<never>(() => undefined);
    const usage = async () => ({
      ...files.used(),
      processes: 0,
      memoryBytes: null,
      cpuMs: null,
      openFiles: null,
      connections: null,
    });
    return {
      runtime: "memory",
      files,
      crashed,
      usage,
      fileBytes: async () => files.used().filesystemBytes,
      halt: async () => undefined,
      dispose: () => files.close(),
    };
  }
}
