import { orNull } from "../shared/errors.ts";
import { DROPPED_NOTE } from "../shared/text.ts";
import { type AdapterVm, Workplace } from "../shared/workplace.ts";
import type { SandboxSessionOptions } from "./session.ts";
import type { SandboxResult } from "./session-types.ts";

/** A sandbox as `createBashTool({ sandbox })` of `bash-tool` takes it. */
export interface BashToolSandbox {
  /** Runs a shell line to its end. A note at the end of stderr says if output was dropped. */
  executeCommand(command: string): Promise<SandboxResult>;
  /** Reads a text file. */
  readFile(path: string): Promise<string>;
  /** Writes files and makes missing parents. */
  writeFiles(files: { path: string; content: string | Uint8Array }[]): Promise<void>;
}

/**
 * Makes a VM usable as the sandbox of `bash-tool`.
 *
 * @param vm handle or connection of `createClient()`
 * @param options base directory; its `description` has no effect
 * @example
 * ```ts
 * const { tools } = await createBashTool({ sandbox: bashToolSandbox(vm), files: { "index.ts": code } });
 * ```
 */
export function bashToolSandbox(vm: AdapterVm, options: SandboxSessionOptions = {}): BashToolSandbox {
  const place = new Workplace(vm, options.workingDirectory);
  return {
    async executeCommand(command) {
      const { stdout, stderr, exitCode, truncated } = await vm.run(command, {
        cwd: await place.directory(),
      });
      return { stdout, stderr: truncated ? stderr + DROPPED_NOTE : stderr, exitCode };
    },
    async readFile(path) {
      const bytes = await orNull(vm.readFile(place.resolve(path)));
      if (bytes === null) throw new Error(`File not found: ${path}`);
      return new TextDecoder().decode(bytes);
    },
    async writeFiles(files) {
      for (const { path, content } of files) await vm.writeFile(place.resolve(path), content);
    },
  };
}
