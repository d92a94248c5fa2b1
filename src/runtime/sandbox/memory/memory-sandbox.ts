import { noKernelSandbox } from "../../../api/errors.ts";
import type { VmProcess } from "../../../api/types.ts";
import type { VmOptions } from "../../options.ts";
import type { FileSystem } from "../files.ts";
import type {
  FileWatch,
  Sandbox,
  SandboxFactory,
  SandboxNetwork,
  SandboxProcess,
  SandboxTerminal,
} from "../sandbox.ts";
import { MemoryFileSystem } from "./memory-filesystem.ts";

const NO_NETWORK: SandboxNetwork = {
  connect: () => Promise.reject(noKernelSandbox("Reaching a port")),
  listen: () => Promise.reject(noKernelSandbox("Reaching the outside")),
  listening: () => Promise.reject(noKernelSandbox("Listing ports")),
  holderOf: () => Promise.resolve(undefined),
};

/** A file tree in the server's memory, without processes: for hosts without a kernel sandbox, and for users' tests. */
class MemorySandbox implements Sandbox {
  readonly files: FileSystem;
  readonly network = NO_NETWORK;
  /** It has no process that could end. */
  readonly crashed = new Promise<Error>(() => undefined);

  constructor(files: FileSystem) {
    this.files = files;
  }

  spawn(): Promise<SandboxProcess> {
    return Promise.reject(noKernelSandbox("Starting a process"));
  }

  terminal(): Promise<SandboxTerminal> {
    return Promise.reject(noKernelSandbox("Opening a shell"));
  }

  watch(): Promise<FileWatch> {
    return Promise.reject(noKernelSandbox("Watching files"));
  }

  processes(): Promise<VmProcess[]> {
    return Promise.reject(noKernelSandbox("Listing processes"));
  }

  async isBusy(): Promise<boolean> {
    return false;
  }

  async freeze(): Promise<() => void> {
    return () => undefined;
  }

  async mappedFiles(): Promise<ReadonlySet<number>> {
    return new Set();
  }

  async halt(): Promise<void> {
    // Nothing runs.
  }

  dispose(): Promise<void> {
    return this.files.close();
  }
}

export class MemorySandboxFactory implements SandboxFactory {
  readonly shell = "sh";
  readonly isolation = "memory runtime: files only, no processes";
  readonly visible = "nothing";
  readonly #options: VmOptions;

  constructor(options: VmOptions) {
    this.#options = options;
  }

  async boot(signal: AbortSignal): Promise<Sandbox> {
    signal.throwIfAborted();
    return new MemorySandbox(new MemoryFileSystem(this.#options.limits));
  }
}
