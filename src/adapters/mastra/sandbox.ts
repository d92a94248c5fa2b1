import type { VmHandle } from "../../client/index.ts";
import { unlessGone } from "../shared/gone.ts";
import { portUrl } from "../shared/port-url.ts";
import { HOME, Workplace } from "../shared/workplace.ts";
import type { MastraClasses, ProviderStatus } from "./mastra-types.ts";
import { processesOf } from "./processes.ts";

/** Options of `mastraSandbox`. */
export interface MastraSandboxOptions {
  /** Names the sandbox. @default "agent-vm" */
  id?: string;
  /** Base directory of relative paths and of commands. It is made if it is missing. @default "/home/agentos" */
  workingDirectory?: string;
  /** `true`: `destroy()` deletes the VM. Otherwise the VM of the caller only sleeps. @default false */
  deleteVm?: boolean;
}

/** A file of `writeFiles`. */
interface FileInput {
  path: string;
  content: string | Uint8Array;
  mode?: number;
}

/**
 * Makes a VM the sandbox of a Mastra workspace (`@mastra/core` 1): commands, processes with stdin, URLs of ports.
 *
 * @param vm handle of `createClient()`
 * @param classes the module `@mastra/core/workspace`
 * @param options id, base directory and life
 * @returns an instance of Mastra's `MastraSandbox`
 * @example
 * ```ts
 * import * as mastra from "@mastra/core/workspace";
 *
 * const vm = client.vm.getOrCreate("my-agent");
 * const workspace = new mastra.Workspace({ sandbox: mastraSandbox(vm, mastra), filesystem: mastraFilesystem(vm, mastra) });
 * ```
 */
export function mastraSandbox<Sandbox extends object>(
  vm: VmHandle,
  classes: MastraClasses<Sandbox>,
  options: MastraSandboxOptions = {},
): Sandbox {
  const { id = "agent-vm", workingDirectory = HOME, deleteVm = false } = options;
  const place = new Workplace(vm, workingDirectory);
  const Base = classes.MastraSandbox as unknown as new (options: object) => object;

  class VmSandbox extends Base {
    readonly id = id;
    readonly name = "agent-vm";
    readonly provider = "agent-vm";
    status: ProviderStatus = "pending";
    readonly networking = { getPortUrl: async (port: number) => (await portUrl(vm, port)).href };
    readonly #createdAt = new Date();

    async start(): Promise<void> {
      await place.directory();
      await vm.status();
    }

    async stop(): Promise<void> {
      await unlessGone(vm.sleep());
    }

    async destroy(): Promise<void> {
      await unlessGone(deleteVm ? vm.destroy() : vm.sleep());
    }

    async getInfo() {
      const { memory, cpu } = await vm.status();
      return {
        id,
        name: this.name,
        provider: this.provider,
        status: this.status,
        createdAt: this.#createdAt,
        resources: {
          ...(memory.limit !== null && { memoryMB: memory.limit / 2 ** 20 }),
          ...(memory.used !== null && { memoryUsedMB: memory.used / 2 ** 20 }),
          ...(cpu.cpus !== null && { cpuCores: cpu.cpus }),
        },
      };
    }

    getInstructions(): string {
      return `A Linux machine of your own. Commands run with bash in ${place.path} as the user agentos, who is not root. Files and processes are shared by all commands; files outlive the machine's sleep.`;
    }

    async writeFiles(files: FileInput[], { abortSignal }: { abortSignal?: AbortSignal } = {}): Promise<void> {
      abortSignal?.throwIfAborted();
      const entries = files.map(({ path, content }) => ({ path: place.resolve(path), content }));
      const failed = (await vm.writeFiles(entries)).find(({ success }) => !success);
      if (failed !== undefined) throw new Error(`Cannot write ${failed.path}: ${failed.error}`);
      for (const { path, mode } of files) {
        if (mode === undefined) continue;
        const { exitCode, stderr } = await vm.execArgv("chmod", [
          mode.toString(8),
          "--",
          place.resolve(path),
        ]);
        if (exitCode !== 0) throw new Error(stderr.trim());
      }
    }

    /** Makes all changes of files durable. */
    async snapshot(): Promise<void> {
      await vm.checkpoint();
    }
  }

  const processes = processesOf(place, classes);
  return new VmSandbox({ name: "agent-vm", workingDirectory: place.path, processes }) as unknown as Sandbox;
}
