import { randomBytes } from "node:crypto";
import { AgentVmError } from "../../../../api/errors.ts";
import type { FileSystem } from "../../files.ts";
import type { ExitStatus } from "../../processes.ts";
import type { OutputListener, SandboxTerminal, TerminalRequest } from "../../terminals.ts";
import { RUN_FOLDER } from "../../vm-layout.ts";
import type { Entry } from "../commands/command.ts";
import { cwdError } from "../commands/start-errors.ts";
import { sealedCommand } from "../descriptors.ts";
import { enterCommand } from "../helpers/enter.ts";
import { refusalIn } from "../helpers/refusal.ts";
import { SIGNAL_NAMES } from "../helpers/wait-status.ts";
import { commandTree, killAll, sendSignal } from "../procfs/process-trees.ts";
import { childrenOf, descendants, processStartTime, readStat } from "../procfs/procfs.ts";
import { withTag } from "../procfs/slack-tag.ts";
import { SYSTEM_PATH } from "../tools.ts";
import { hangUpSession } from "./hangup.ts";
import { type Pty, spawnPty, TerminalEnd } from "./terminal-end.ts";
import { LAUNCHED, NO_CWD, terminalScript } from "./terminal-script.ts";

/**
 * Start of a shell.
 * @unit ms
 * @past The call fails.
 * @code vm_stopped
 */
const START_TIMEOUT_MS = 10_000;

/**
 * A program on a pseudo-terminal of the VM's own devpts. node-pty opens a terminal of the host, which has no name in
 * the VM: `tty` would print "not a tty". So script(1) runs on it in the VM, and relays to a terminal of the VM.
 */
export class KernelTerminal implements SandboxTerminal {
  readonly exited: Promise<ExitStatus>;
  #pid = 0;
  #hostPid = 0;
  #startTime: number | undefined;
  readonly #pty: Pty;
  readonly #end: TerminalEnd;
  readonly #tag: number;
  readonly #entry: Entry;
  #listener: OutputListener | undefined;
  #early: Buffer[] = [];
  #ended = false;

  private constructor(pty: Pty, tag: number, entry: Entry) {
    this.#pty = pty;
    this.#end = new TerminalEnd(pty, entry.terminalInput);
    this.#tag = tag;
    this.#entry = entry;
    this.exited = new Promise((resolve) => {
      pty.onExit(({ exitCode, signal }) => {
        this.#ended = true;
        this.#end.close();
        entry.output.leave(this);
        entry.tags.release(tag);
        resolve(exitStatusOf(exitCode, signal));
      });
    });
  }

  static async start(request: TerminalRequest, entry: Entry, files: FileSystem): Promise<KernelTerminal> {
    const { processes, openFiles, tools, tags } = entry;
    const job = `${RUN_FOLDER}/terminal-${randomBytes(12).toString("hex")}`;
    const script = terminalScript(request, { processes, openFiles, env: tools.env });
    await files.writeFile(job, Buffer.from(script));
    try {
      await files.chmod(job, 0o600);
      const tag = tags.acquire();
      let terminal: KernelTerminal;
      try {
        terminal = new KernelTerminal(
          withTag(tag, () => spawnScript(job, request, entry)),
          tag,
          entry,
        );
      } catch (error) {
        tags.release(tag);
        throw error;
      }
      const wake = () => terminal.release();
      entry.ending.addEventListener("abort", wake);
      try {
        await terminal.#becomeReady(request, files);
      } finally {
        entry.ending.removeEventListener("abort", wake);
      }
      return terminal;
    } finally {
      // The shell has read the whole script by now, or has failed.
      await files.unlink(job).catch(() => undefined);
    }
  }

  async #becomeReady({ cwd }: TerminalRequest, files: FileSystem): Promise<void> {
    const header = await this.#readHeader();
    const [, pid, answer] = HEADER.exec(header) ?? [];
    if (answer !== LAUNCHED) {
      await this.#destroy();
      if (answer === NO_CWD) throw await cwdError(files, cwd);
      throw (
        refusalIn(header) ??
        new AgentVmError("vm_stopped", `The terminal could not be started: ${header.trim()}`)
      );
    }
    this.#pid = Number(pid);
    const relay = childrenOf(this.#pty.pid)[0];
    const shell = relay === undefined ? undefined : childrenOf(relay)[0];
    this.#hostPid = shell ?? 0;
    this.#startTime = processStartTime(this.#hostPid);
  }

  /** Reads the two lines before the program's own output, or the error message in their place. */
  #readHeader(): Promise<string> {
    return new Promise((resolve) => {
      let text = "";
      let done = false;
      const finish = () => {
        done = true;
        clearTimeout(timer);
        resolve(text);
      };
      const timer = setTimeout(finish, START_TIMEOUT_MS);
      this.exited.then(finish);
      // With `encoding: null` node-pty emits buffers, although its types say strings.
      this.#pty.onData((data) => {
        const bytes = data as unknown as Buffer;
        if (done) {
          this.#deliver(bytes);
          return;
        }
        text += bytes.toString("latin1");
        const match = HEADER.exec(text);
        if (match === null) return;
        finish();
        const rest = Buffer.from(text.slice(match[0].length), "latin1");
        if (rest.length > 0) this.#deliver(rest);
      });
    });
  }

  #deliver(data: Buffer): void {
    if (!this.#entry.output.mayReadOn(this, data.length)) this.#pty.pause();
    if (this.#listener === undefined) this.#early.push(data);
    else this.#listener(data);
  }

  /** Reads on after its turn has come. */
  takeTurn(): void {
    if (!this.#ended) this.#pty.resume();
  }

  get pid(): number {
    return this.#pid;
  }

  get pendingInput(): number {
    return this.#end.pending;
  }

  onOutput(listener: OutputListener): void {
    this.#listener = listener;
    for (const data of this.#early) listener(data);
    this.#early = [];
  }

  write(data: Uint8Array): void {
    if (!this.#ended) this.#end.write(data);
  }

  resize(cols: number, rows: number): void {
    if (!this.#ended) this.#end.resize(cols, rows);
  }

  signal(signal: number): void {
    // A shell that ended before the server found its pid has pid 0, which kill(2) takes for the server's own group.
    if (this.#ended || this.#startTime === undefined) return;
    if (processStartTime(this.#hostPid) === this.#startTime) sendSignal(this.#hostPid, signal);
  }

  async killTree(): Promise<void> {
    const outside = this.#pty.pid;
    await killAll(() =>
      commandTree(outside, this.#entry.initPid, this.#tag).filter((pid) => pid !== outside),
    );
    this.release();
  }

  /** Wakes the process that entered the VM for it. A stopped process does not notice its child's end. */
  release(): void {
    if (!this.#ended) sendSignal(this.#pty.pid, "SIGCONT");
  }

  async hangup(): Promise<void> {
    if (this.#ended) return;
    await hangUpSession({
      session: () => this.#session(),
      leader: this.#hostPid,
      exited: this.exited,
      kill: () => void this.#destroy(),
    });
  }

  /** Lists the host pids of the shell's session. */
  #session(): number[] {
    return commandTree(this.#pty.pid, this.#entry.initPid, this.#tag).filter(
      (pid) => readStat(pid)?.session === this.#hostPid,
    );
  }

  async #destroy(): Promise<void> {
    if (this.#ended) return;
    for (const pid of descendants(this.#pty.pid)) sendSignal(pid, "SIGKILL");
    await this.exited;
  }
}

const HEADER = new RegExp(`^(\\d+)\\r?\\n(${LAUNCHED}|${NO_CWD})\\r?\\n`);

function spawnScript(job: string, { cols, rows }: TerminalRequest, entry: Entry): Pty {
  const { tools } = entry;
  const script = [tools.script, "-qfec", `exec ${tools.sh} ${job}`, "/dev/null"];
  const [file, ...args] = sealedCommand(enterCommand(entry, script), tools.bash);
  return spawnPty(file as string, args, {
    cols,
    rows,
    cwd: "/",
    env: { PATH: SYSTEM_PATH, SHELL: tools.sh },
    encoding: null,
  });
}

function exitStatusOf(exitCode: number, signal: number | undefined): ExitStatus {
  const number = signal === undefined || signal === 0 ? exitCode - 128 : signal;
  return { exitCode: signal ? 128 + signal : exitCode, signal: SIGNAL_NAMES.get(number) ?? null };
}
