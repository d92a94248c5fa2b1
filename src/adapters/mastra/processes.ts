import { AgentVmError } from "../../api/errors.ts";
import type { RunResult } from "../../client/index.ts";
import { sendInput } from "../shared/stdin.ts";
import type { AdapterVm, Workplace } from "../shared/workplace.ts";
import type { CommandOptions, CommandResult, MastraClasses } from "./mastra-types.ts";

/** Errors that follow the end of a process with its VM or its server, which leaves no exit code. */
const HAS_ENDED: ReadonlySet<string> = new Set([
  "process_not_found",
  "call_lost",
  "vm_destroyed",
  "actor_not_found",
]);

/** Exit code of a killed process: 128 + SIGKILL. */
const KILLED = 137;

/** The part of Mastra's `ProcessHandle` that the adapter uses. */
interface HandleBase {
  command?: string;
  readonly stdout: string;
  readonly stderr: string;
  emitStdout(data: string): void;
  emitStderr(data: string): void;
}

interface Handle extends HandleBase {
  readonly pid: string;
  exitCode: number | undefined;
}

/** The part of Mastra's `SandboxProcessManager` that the adapter uses. */
interface ManagerBase {
  readonly _tracked: Map<string, Handle>;
}

/** Makes the processes of a VM, on Mastra's base classes. */
export function processesOf(
  place: Workplace,
  { SandboxProcessManager, ProcessHandle }: Omit<MastraClasses<object>, "MastraSandbox">,
): object {
  const HandleClass = ProcessHandle as unknown as new (options: CommandOptions) => HandleBase;
  const ManagerClass = SandboxProcessManager as unknown as new () => ManagerBase;

  class VmProcess extends HandleClass implements Handle {
    pid = "";
    exitCode: number | undefined;
    readonly #vm: AdapterVm;
    readonly #hasStdin: boolean;
    #startedAt = 0;
    #ended: Promise<RunResult> | undefined;

    constructor(vm: AdapterVm, options: CommandOptions) {
      super(options);
      this.#vm = vm;
      this.#hasStdin = options.stdinMode !== "ignore";
    }

    async start(command: string, cwd: string, { timeout, env = {} }: CommandOptions): Promise<void> {
      const listeners = {
        onStdout: (text: string) => this.emitStdout(text),
        onStderr: (text: string) => this.emitStderr(text),
        captureStdio: false,
      };
      const variables = Object.entries(env).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      );
      const first = await this.#vm.run(command, {
        ...listeners,
        cwd,
        env: Object.fromEntries(variables),
        openStdin: this.#hasStdin,
        yieldAfterMs: 0,
        timeout,
      });
      this.pid = String(first.pid);
      this.#startedAt = first.startedAt;
      const end = first.running
        ? this.#vm.attach(first.pid, { ...listeners, after: first.after, startedAt: this.#startedAt })
        : Promise.resolve(first);
      this.#ended = end.then(
        (result) => {
          this.exitCode = result.exitCode;
          return result;
        },
        (error: unknown) => {
          if (error instanceof AgentVmError && HAS_ENDED.has(error.code)) this.exitCode = KILLED;
          throw error;
        },
      );
      // A caller that only polls does not wait for the end.
      this.#ended.catch(() => undefined);
    }

    async wait(): Promise<CommandResult> {
      const { exitCode, durationMs, timedOut, reason } = (await this.#ended) as RunResult;
      return {
        success: exitCode === 0,
        exitCode,
        stdout: this.stdout,
        stderr: this.stderr,
        executionTimeMs: durationMs,
        timedOut,
        killed: timedOut || reason === "killed",
      };
    }

    async kill(): Promise<boolean> {
      if (this.exitCode !== undefined) return false;
      try {
        await this.#vm.killProcess(Number(this.pid), { tree: true, startedAt: this.#startedAt });
        return true;
      } catch (error) {
        if (error instanceof AgentVmError && error.code === "process_not_found") return false;
        throw error;
      }
    }

    async sendStdin(data: string): Promise<void> {
      this.#assertStdin();
      const process = { vm: this.#vm, pid: Number(this.pid), startedAt: this.#startedAt };
      await sendInput({ ...process, isOver: () => this.exitCode !== undefined }, Buffer.from(data));
    }

    async closeStdin(): Promise<void> {
      this.#assertStdin();
      await this.#vm.closeProcessStdin(Number(this.pid), { startedAt: this.#startedAt });
    }

    #assertStdin(): void {
      if (!this.#hasStdin || this.exitCode !== undefined) throw new Error(`Process ${this.pid} has no stdin`);
    }
  }

  return new (class VmProcesses extends ManagerClass {
    async spawn(command: string, options: CommandOptions = {}): Promise<Handle> {
      const handle = new VmProcess(place.vm, options);
      await handle.start(command, await place.directory(options.cwd), options);
      this._tracked.set(handle.pid, handle);
      return handle;
    }

    async list(): Promise<{ pid: string; command?: string; running: boolean; exitCode?: number }[]> {
      return [...this._tracked.values()].map(({ pid, command, exitCode }) => ({
        pid,
        ...(command !== undefined && { command }),
        running: exitCode === undefined,
        ...(exitCode !== undefined && { exitCode }),
      }));
    }
  })();
}
