import type { ShellInfo, ShellOutput, ShellSnapshot, SnapshotMode } from "../../api/methods/shells.ts";
import type { Mutex } from "../../base/mutex.ts";
import type { InputWatch } from "../processes/input-watch.ts";
import { keptCommand } from "../processes/kept-command.ts";
import { type ReplayBudget, ReplayBuffer, splitEvent } from "../processes/replay-buffer.ts";
import type { Recorder } from "../recordings/recorder.ts";
import type { ExitStatus } from "../sandbox/processes.ts";
import type { SandboxTerminal } from "../sandbox/terminals.ts";
import type { VmServices } from "../vm-services.ts";
import { SHELL_SCROLLBACK_BYTES } from "./limits.ts";
import { ShellScreen } from "./shell-screen.ts";

/** A shell has one stream. */
const NO_KIND = {};

type OpenShellDeps = Pick<VmServices, "emit" | "filesMayHaveChanged"> & {
  inputs: Pick<InputWatch, "touched">;
  /** Output that the VM keeps. */
  kept: ReplayBudget;
};

/** A shell on a terminal: its record, its scrollback and its end. */
export class OpenShell {
  readonly shellId: string;
  /** Resolves when shellExit has been sent. */
  readonly exited: Promise<ExitStatus>;
  readonly #terminal: SandboxTerminal;
  readonly #vm: OpenShellDeps;
  readonly #scrollback: ReplayBuffer<object>;
  readonly #info: ShellInfo;
  readonly #screen: ShellScreen;
  readonly #recorder: Recorder | undefined;

  /** @param drawing lets one shell of the VM draw its screen at a time */
  constructor(
    terminal: SandboxTerminal,
    info: Pick<ShellInfo, "shellId" | "command" | "args" | "cols" | "rows">,
    vm: OpenShellDeps,
    drawing: Mutex,
    recorder?: Recorder,
  ) {
    this.#recorder = recorder;
    this.shellId = info.shellId;
    this.#terminal = terminal;
    this.#vm = vm;
    this.#scrollback = new ReplayBuffer<object>(SHELL_SCROLLBACK_BYTES, vm.kept);
    const state = { pid: terminal.pid, running: true, exitCode: null, waitingForInput: false };
    this.#info = { ...info, ...keptCommand(info), ...state };
    this.#screen = new ShellScreen(info, (seq) => this.#scrollback.after(seq), drawing, vm.kept);
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
    this.#vm.inputs.touched();
    this.#terminal.write(data);
  }

  resize(cols: number, rows: number): void {
    if (!this.#info.running) return;
    this.#terminal.resize(cols, rows);
    Object.assign(this.#info, { cols, rows });
    this.#recorder?.resized(cols, rows);
    this.#screen.resized({ cols, rows }, this.#scrollback.nextSeq);
  }

  /** Draws what the terminal shows. */
  async snapshot(mode: SnapshotMode): Promise<ShellSnapshot> {
    const { shellId } = this;
    if (mode !== "none") return { shellId, mode, ...(await this.#screen.snapshot(mode)) };
    const { cols, rows } = this.#info;
    const seq = this.#scrollback.nextSeq - 1;
    return { shellId, mode, seq, cols, rows, data: new Uint8Array(), truncated: false };
  }

  hangup(): Promise<void> {
    return this.#terminal.hangup();
  }

  output(after: number): ShellOutput {
    return { ...this.#scrollback.after(after), running: this.#info.running, exitCode: this.#info.exitCode };
  }

  /** Drops the output, when the shell leaves the table. */
  forget(): void {
    this.#scrollback.clear();
    this.#screen.forget();
  }

  #publish(data: Buffer): void {
    this.#vm.inputs.touched();
    for (const piece of splitEvent(data)) {
      const chunk = this.#scrollback.push(NO_KIND, piece);
      this.#vm.emit("shellData", { shellId: this.shellId, ...chunk });
    }
    this.#recorder?.output("terminal", data);
    this.#screen.grown(data.byteLength);
    this.#vm.filesMayHaveChanged();
  }

  async #end(): Promise<ExitStatus> {
    const { exitCode, signal } = await this.#terminal.exited;
    Object.assign(this.#info, { running: false, exitCode });
    this.#recorder?.ended();
    this.#scrollback.end();
    this.#screen.end();
    this.#vm.emit("shellExit", { shellId: this.shellId, exitCode, ...(signal === null ? {} : { signal }) });
    this.#vm.filesMayHaveChanged();
    return { exitCode, signal };
  }
}
