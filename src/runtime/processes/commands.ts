import type { ProcessMethods } from "../../api/actions.ts";
import { MAX_CAPTURED_BYTES } from "../../api/limits.ts";
import type { ExecOptions, ExecResult } from "../../api/types.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { CaptureBudget } from "./capture-budget.ts";
import { type ExecSettings, execute } from "./exec.ts";
import type { ProcessHooks } from "./hooks.ts";
import type { ShellDefaults } from "./shells.ts";

export interface CommandsParts {
  sandbox(): Promise<Sandbox>;
  defaults: ShellDefaults;
  /** Captured output of one exec. */
  captureBytes: number;
  hooks: ProcessHooks;
  /** A command may change files from now on, and has done so when the answer is called. */
  changesFiles(): () => void;
}

/** Commands that run to their end. */
export class Commands implements Pick<ProcessMethods, "exec" | "execArgv"> {
  readonly #parts: CommandsParts;
  readonly #captures = new CaptureBudget(MAX_CAPTURED_BYTES);

  constructor(parts: CommandsParts) {
    this.#parts = parts;
  }

  exec(command: string, options?: ExecOptions): Promise<ExecResult> {
    return this.run(command, undefined, options);
  }

  execArgv(command: string, args: readonly string[] = [], options?: ExecOptions): Promise<ExecResult> {
    return this.run(command, args, options);
  }

  /** @param args `undefined` for a line of the shell */
  async run(
    command: string,
    args: readonly string[] | undefined,
    options: ExecOptions = {},
    onOutput?: ExecSettings["onOutput"],
  ): Promise<ExecResult> {
    const { defaults, captureBytes, hooks } = this.#parts;
    const sandbox = await this.#parts.sandbox();
    const { env, cwd, shell } = defaults;
    const settings = { env, cwd, captureBytes, budget: this.#captures, ...(onOutput && { onOutput }) };
    const [program, argv] = args === undefined ? [shell, ["-c", command]] : [command, args];
    const changed = this.#parts.changesFiles();
    try {
      return await execute(sandbox, program, argv, options, settings, hooks);
    } finally {
      changed();
    }
  }
}
