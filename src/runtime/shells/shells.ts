import { randomBytes } from "node:crypto";
import { limitExceeded, shellNotFound } from "../../api/errors.ts";
import type { ReadOutputOptions } from "../../api/methods/process-types.ts";
import type {
  ConnectTerminalOptions,
  OpenedShell,
  OpenShellOptions,
  ShellInfo,
  ShellMethods,
  ShellOutput,
  ShellSnapshot,
  SnapshotMode,
} from "../../api/methods/shells.ts";
import type { Bytes } from "../../api/values.ts";
import { toBytes } from "../../base/bytes.ts";
import { Mutex } from "../../base/mutex.ts";
import { terminalEnv } from "../processes/command.ts";
import type { InputWatch } from "../processes/input-watch.ts";
import type { ReplayBudget } from "../processes/replay-buffer.ts";
import type { Recordings } from "../recordings/recordings.ts";
import { capabilityOf } from "../sandbox/sandbox.ts";
import type { VmServices } from "../vm-services.ts";
import { MAX_ENDED_SHELLS, MAX_OPEN_SHELLS, MAX_PENDING_SHELL_BYTES } from "./limits.ts";
import { OpenShell } from "./open-shell.ts";

/** An id is never given twice: a client that does not know of a sleep of the VM must not reach the shell of another client. */
const ID_BYTES = 6;

const DEFAULT_COLS = 80;
const DEFAULT_ROWS = 24;

type ShellsDeps = Pick<
  VmServices,
  "sandbox" | "env" | "cwd" | "emit" | "whileRunning" | "filesMayHaveChanged"
> & { recordings: Pick<Recordings, "around">; inputs: InputWatch; kept: ReplayBudget };

/** The interactive shells of one VM. */
export class Shells implements ShellMethods {
  readonly #deps: ShellsDeps;
  readonly #table = new Map<string, OpenShell>();
  readonly #drawing = new Mutex();
  #opening = 0;

  constructor(deps: ShellsDeps) {
    this.#deps = deps;
  }

  /** Number of running shells. */
  get runningCount(): number {
    return [...this.#table.values()].filter((shell) => shell.info.running).length;
  }

  async openShell(options?: OpenShellOptions): Promise<OpenedShell> {
    const { shellId, info } = await this.#open("openShell", options);
    return { shellId, pid: info.pid };
  }

  async connectTerminal(options?: ConnectTerminalOptions): Promise<number> {
    return (await this.#open("connectTerminal", options)).info.pid;
  }

  async #open(action: string, options: OpenShellOptions = {}): Promise<OpenShell> {
    if (this.runningCount + this.#opening >= MAX_OPEN_SHELLS) {
      throw limitExceeded({ MAX_OPEN_SHELLS }, "Shell limit reached", "Close a shell first.");
    }
    this.#opening++;
    try {
      return await this.#start(action, options);
    } finally {
      this.#opening--;
    }
  }

  async #start(action: string, options: OpenShellOptions): Promise<OpenShell> {
    const { cwd } = this.#deps;
    const terminals = capabilityOf(await this.#deps.sandbox(), "terminals", action);
    const command = options.command ?? terminals.shell;
    const args = options.args ?? (options.command === undefined ? ["-i"] : []);
    const size = { cols: options.cols ?? DEFAULT_COLS, rows: options.rows ?? DEFAULT_ROWS };
    const env = terminalEnv(await this.#deps.env(), options.env);
    const shellId = `shell-${randomBytes(ID_BYTES).toString("hex")}`;
    const about = { ...size, shellId, command: [command, ...args] };
    const [terminal, recorder] = await this.#deps.recordings.around(options.record, about, () =>
      terminals.open({ command, args, env, cwd: options.cwd ?? cwd, ...size }),
    );
    const opened = new OpenShell(
      terminal,
      { shellId, command, args, ...size },
      this.#deps,
      this.#drawing,
      recorder,
    );
    this.#table.set(opened.shellId, opened);
    this.#deps.whileRunning(opened.exited);
    this.#deps.inputs.add(opened.info.pid, shellId, opened.exited);
    void opened.exited.then(() => this.#forgetOldest());
    return opened;
  }

  async writeShell(shellId: string, data: Bytes): Promise<void> {
    const shell = this.#find(shellId);
    const bytes = toBytes(data);
    if (shell.pendingInput + bytes.byteLength > MAX_PENDING_SHELL_BYTES) {
      throw limitExceeded(
        { MAX_PENDING_SHELL_BYTES },
        `Shell ${shellId} has ${shell.pendingInput} bytes of unread input`,
        "Wait until its program reads.",
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
    const waiting = await this.#deps.inputs.waiting();
    const infos = [...this.#table.values()].map((shell) => shell.info);
    return infos.map((info) => ({ ...info, waitingForInput: info.running && waiting.has(info.pid) }));
  }

  async readShell(shellId: string, options: ReadOutputOptions = {}): Promise<ShellOutput> {
    return this.#find(shellId).output(options.after ?? -1);
  }

  async snapshotShell(shellId: string, mode: SnapshotMode = "screen"): Promise<ShellSnapshot> {
    return await this.#find(shellId).snapshot(mode);
  }

  #find(shellId: string): OpenShell {
    const shell = this.#table.get(shellId);
    if (shell === undefined) throw shellNotFound(shellId);
    return shell;
  }

  #forgetOldest(): void {
    const ended = [...this.#table.values()].filter((shell) => !shell.info.running);
    for (const shell of ended.slice(0, Math.max(0, ended.length - MAX_ENDED_SHELLS))) {
      shell.forget();
      this.#table.delete(shell.shellId);
    }
  }
}
