import { SHELL_SCROLLBACK_BYTES } from "../../api/limits.ts";
import type { ShellInfo, ShellOutput } from "../../api/types.ts";
import type { ExitStatus, SandboxTerminal } from "../sandbox/sandbox.ts";
import type { ProcessHooks } from "./hooks.ts";
import { ReplayBuffer } from "./replay-buffer.ts";
import { splitEvent } from "./split-event.ts";

/** A shell has one stream. */
const NO_KIND = {};

/** A shell on a terminal: its record, its scrollback and its end. */
export class OpenShell {
  readonly shellId: string;
  /** Resolves when shellExit has been sent. */
  readonly exited: Promise<ExitStatus>;
  readonly #terminal: SandboxTerminal;
  readonly #hooks: ProcessHooks;
  readonly #scrollback = new ReplayBuffer<object>(SHELL_SCROLLBACK_BYTES);
  readonly #info: ShellInfo;

  constructor(
    terminal: SandboxTerminal,
    info: Pick<ShellInfo, "shellId" | "command" | "args" | "cols" | "rows">,
    hooks: ProcessHooks,
  ) {
    this.shellId = info.shellId;
    this.#terminal = terminal;
    this.#hooks = hooks;
    this.#info = { ...info, args: [...info.args], pid: terminal.pid, running: true, exitCode: null };
    terminal.onOutput((data) => this.#publish(data));
    this.exited = this.#end();
  }

  get info(): ShellInfo {
    return { ...this.#info, args: [...this.#info.args] };
  }

  get pendingInput(): number {
    return this.#terminal.pendingInput;
  }

  write(data: Uint8Array): void {
    this.#terminal.write(data);
  }

  resize(cols: number, rows: number): void {
    if (!this.#info.running) return;
    this.#terminal.resize(cols, rows);
    Object.assign(this.#info, { cols, rows });
  }

  hangup(): Promise<void> {
    return this.#terminal.hangup();
  }

  output(after: number): ShellOutput {
    return { ...this.#scrollback.after(after), running: this.#info.running, exitCode: this.#info.exitCode };
  }

  #publish(data: Buffer): void {
    for (const piece of splitEvent(data)) {
      const chunk = this.#scrollback.push(NO_KIND, piece);
      this.#hooks.emit("shellData", { shellId: this.shellId, ...chunk });
    }
  }

  async #end(): Promise<ExitStatus> {
    const { exitCode, signal } = await this.#terminal.exited;
    Object.assign(this.#info, { running: false, exitCode });
    this.#hooks.emit("shellExit", {
      shellId: this.shellId,
      exitCode,
      ...(signal === null ? {} : { signal }),
    });
    return { exitCode, signal };
  }
}
