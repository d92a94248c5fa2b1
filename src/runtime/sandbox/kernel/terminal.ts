import { randomBytes } from "node:crypto";
import { constants } from "node:os";
import { AgentVmError } from "../../../api/errors.ts";
import type { FileSystem } from "../files.ts";
import type { ExitStatus, OutputListener, SandboxTerminal, TerminalRequest } from "../sandbox.ts";
import { cwdError } from "./cwd.ts";
import { sealedCommand } from "./descriptors.ts";
import { RUN_FOLDER } from "./layout.ts";
import { childrenOf, descendants, processStartTime, readProc, readStat, statusField } from "./procfs.ts";
import { type Pty, spawnPty } from "./pty.ts";
import type { Entry } from "./start/command.ts";
import { enterByNsenter } from "./start/enter.ts";
import { LAUNCHED, launchScript, NO_CWD } from "./start/launch-script.ts";
import { reapedCpu } from "./start/reaped-cpu.ts";
import { refusalIn } from "./start/refusal.ts";
import { withTag } from "./tag.ts";
import { TerminalEnd } from "./terminal-end.ts";
import { SYSTEM_PATH } from "./tools.ts";
import { commandTree, killAll, sendSignal } from "./tree.ts";

/** A shell that ignores its hangup is killed after this long. */
const HANGUP_GRACE_MS = 1000;
const HANGUP_PAUSE_MS = 100;

/** How often, and after which pause, those are looked for that missed it. */
const STRAGGLER_ROUNDS = 10;
const STRAGGLER_PAUSE_MS = 10;

const START_TIMEOUT_MS = 10_000;

/**
 * A program on a pseudo-terminal of the VM's own devpts. node-pty's terminal is the host's: a program inside could
 * not name it, and `tty` would say "not a tty". So script(1) runs on it in the VM and relays to a terminal of the VM.
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
    this.#end = new TerminalEnd(pty);
    this.#tag = tag;
    this.#entry = entry;
    this.exited = new Promise((resolve) => {
      pty.onExit(({ exitCode, signal }) => {
        this.#ended = true;
        this.#end.close();
        void reapedCpu.ofExit();
        entry.tags.release(tag);
        resolve(exitStatusOf(exitCode, signal));
      });
    });
  }

  static async start(request: TerminalRequest, entry: Entry, files: FileSystem): Promise<KernelTerminal> {
    const { processes, openFiles, tools, tags } = entry;
    const job = `${RUN_FOLDER}/terminal-${randomBytes(12).toString("hex")}`;
    const script = `echo $$\n${launchScript(request, { processes, openFiles, env: tools.env }, "")}`;
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
      // The shell has read it whole by now, or never will.
      await files.unlink(job).catch(() => undefined);
    }
  }

  async #becomeReady({ cwd }: TerminalRequest, files: FileSystem): Promise<void> {
    const said = await this.#readHeader();
    const [, pid, answer] = HEADER.exec(said) ?? [];
    if (answer !== LAUNCHED) {
      await this.#destroy();
      if (answer === NO_CWD) throw await cwdError(files, cwd);
      throw (
        refusalIn(said) ?? new AgentVmError("vm_stopped", `The terminal could not be started: ${said.trim()}`)
      );
    }
    this.#pid = Number(pid);
    const relay = childrenOf(this.#pty.pid)[0];
    const shell = relay === undefined ? undefined : childrenOf(relay)[0];
    this.#hostPid = shell ?? 0;
    this.#startTime = processStartTime(this.#hostPid);
  }

  /** The two lines that come before the program's own output, or what was said instead of them. */
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
      // With `encoding: null` node-pty hands out buffers, whatever its types say.
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
    if (this.#listener === undefined) this.#early.push(data);
    else this.#listener(data);
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
    // A shell that was gone before it could be looked at left no pid; 0 would be the server's own process group.
    if (this.#ended || this.#startTime === undefined) return;
    if (processStartTime(this.#hostPid) === this.#startTime) sendSignal(this.#hostPid, signal);
  }

  async killTree(): Promise<void> {
    const nsenter = this.#pty.pid;
    await killAll(() =>
      commandTree(nsenter, this.#entry.initPid, this.#tag).filter((pid) => pid !== nsenter),
    );
    this.release();
  }

  /** nsenter stops with a child that is stopped, and does not see it end before it is woken. */
  release(): void {
    if (!this.#ended) sendSignal(this.#pty.pid, "SIGCONT");
  }

  async hangup(): Promise<void> {
    if (this.#ended) return;
    hangUp(this.#session());
    // bash that is about to wait for input sees a signal only with the next one.
    const again = setInterval(
      () => hangUp(this.#session().filter((pid) => pid === this.#hostPid)),
      HANGUP_PAUSE_MS,
    );
    const timer = setTimeout(() => void this.#destroy(), HANGUP_GRACE_MS);
    await this.exited;
    clearInterval(again);
    clearTimeout(timer);
    await this.#hangUpStragglers();
  }

  /** A child between fork and exec still has its shell's handler, and loses the signal with it. */
  async #hangUpStragglers(): Promise<void> {
    for (let round = 0; round < STRAGGLER_ROUNDS; round++) {
      const stragglers = this.#session().filter(diesOfHangup);
      if (stragglers.length === 0) return;
      hangUp(stragglers);
      await new Promise((resolve) => setTimeout(resolve, STRAGGLER_PAUSE_MS));
    }
  }

  /** Host pids of the shell's session. */
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

function hangUp(pids: readonly number[]): void {
  for (const pid of pids) {
    sendSignal(pid, "SIGHUP");
    // A stopped job gets its hangup only when it runs.
    sendSignal(pid, "SIGCONT");
  }
}

/** `true` for a process that neither ignores nor catches SIGHUP; see SigIgn and SigCgt in proc_pid_status(5). */
function diesOfHangup(pid: number): boolean {
  const status = readProc(`/proc/${pid}/status`) ?? "";
  const masks = ["SigIgn", "SigCgt"].map((name) => BigInt(`0x${statusField(status, name) ?? "0"}`));
  return masks.every((mask) => (mask & 1n) === 0n);
}

const HEADER = new RegExp(`^(\\d+)\\r?\\n(${LAUNCHED}|${NO_CWD})\\r?\\n`);

function spawnScript(job: string, { cols, rows }: TerminalRequest, entry: Entry): Pty {
  const { tools } = entry;
  const script = [tools.script, "-qfec", `exec ${tools.sh} ${job}`, "/dev/null"];
  const [file, ...args] = sealedCommand(enterByNsenter(entry, script), tools.bash);
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
  const name = Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
  return { exitCode: signal ? 128 + signal : exitCode, signal: (name as NodeJS.Signals | undefined) ?? null };
}
