import type { ShellMethods } from "../../api/actions.ts";
import { limitExceeded, shellNotFound } from "../../api/errors.ts";
import { MAX_ENDED_SHELLS, MAX_OPEN_SHELLS, MAX_PENDING_SHELL_BYTES } from "../../api/limits.ts";
import type {
  Bytes,
  ConnectTerminalOptions,
  OpenShellOptions,
  ReadOutputOptions,
  ShellInfo,
  ShellOutput,
} from "../../api/types.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { type CommandDefaults, toBytes } from "./command.ts";
import { terminalEnv } from "./environment.ts";
import type { ProcessHooks } from "./hooks.ts";
import { OpenShell } from "./open-shell.ts";

const DEFAULT_COLS = 80;
const DEFAULT_ROWS = 24;

export interface ShellDefaults extends CommandDefaults {
  /** The VM's shell: bash, or sh where it has none. */
  shell: string;
}

/** The interactive shells of one VM. */
export class Shells implements ShellMethods {
  readonly #sandbox: () => Promise<Sandbox>;
  readonly #defaults: ShellDefaults;
  readonly #hooks: ProcessHooks;
  readonly #table = new Map<string, OpenShell>();
  #opened = 0;
  #opening = 0;

  constructor(sandbox: () => Promise<Sandbox>, defaults: ShellDefaults, hooks: ProcessHooks) {
    this.#sandbox = sandbox;
    this.#defaults = defaults;
    this.#hooks = hooks;
  }

  async openShell(options?: OpenShellOptions): Promise<{ shellId: string }> {
    const { shellId } = await this.#open(options);
    return { shellId };
  }

  async connectTerminal(options?: ConnectTerminalOptions): Promise<number> {
    return (await this.#open(options)).info.pid;
  }

  async #open(options: OpenShellOptions = {}): Promise<OpenShell> {
    const running = [...this.#table.values()].filter((shell) => shell.info.running).length;
    if (running + this.#opening >= MAX_OPEN_SHELLS) {
      throw limitExceeded("MAX_OPEN_SHELLS", MAX_OPEN_SHELLS, "This VM has as many open shells as it may");
    }
    this.#opening++;
    try {
      return await this.#start(options);
    } finally {
      this.#opening--;
    }
  }

  async #start(options: OpenShellOptions): Promise<OpenShell> {
    const { shell, env, cwd } = this.#defaults;
    const command = options.command ?? shell;
    const args = options.args ?? (options.command === undefined ? ["-i"] : []);
    const size = { cols: options.cols ?? DEFAULT_COLS, rows: options.rows ?? DEFAULT_ROWS };
    const sandbox = await this.#sandbox();
    const terminal = await sandbox.terminal({
      command,
      args,
      env: terminalEnv(env, options.env),
      cwd: options.cwd ?? cwd,
      ...size,
    });
    this.#opened++;
    const opened = new OpenShell(
      terminal,
      { shellId: `shell-${this.#opened}`, command, args, ...size },
      this.#hooks,
    );
    this.#table.set(opened.shellId, opened);
    this.#hooks.keepAwake(opened.exited);
    void opened.exited.then(() => this.#forgetOldest());
    return opened;
  }

  async writeShell(shellId: string, data: Bytes): Promise<void> {
    const shell = this.#find(shellId);
    const bytes = toBytes(data);
    if (shell.pendingInput + bytes.byteLength > MAX_PENDING_SHELL_BYTES) {
      throw limitExceeded(
        "MAX_PENDING_SHELL_BYTES",
        MAX_PENDING_SHELL_BYTES,
        `${shellId} has not taken ${shell.pendingInput} bytes of its input yet`,
      );
    }
    shell.write(bytes);
  }

  async resizeShell(shellId: string, cols: number, rows: number): Promise<void> {
    this.#find(shellId).resize(cols, rows);
  }

  async closeShell(shellId: string): Promise<void> {
    await this.#find(shellId).hangup();
  }

  async waitShell(shellId: string): Promise<number> {
    return (await this.#find(shellId).exited).exitCode;
  }

  async listShells(): Promise<ShellInfo[]> {
    return [...this.#table.values()].map((shell) => shell.info);
  }

  async readShell(shellId: string, options: ReadOutputOptions = {}): Promise<ShellOutput> {
    return this.#find(shellId).output(options.after ?? -1);
  }

  #find(shellId: string): OpenShell {
    const shell = this.#table.get(shellId);
    if (shell === undefined) throw shellNotFound(shellId);
    return shell;
  }

  #forgetOldest(): void {
    const ended = [...this.#table.values()].filter((shell) => !shell.info.running);
    for (const shell of ended.slice(0, Math.max(0, ended.length - MAX_ENDED_SHELLS)))
      this.#table.delete(shell.shellId);
  }
}
