import { type ChildProcess, spawn } from "node:child_process";
import { sealedStdio } from "../descriptors.ts";
import { HeldProcess } from "../held-process.ts";
import { childrenOf } from "../procfs.ts";
import { type Tags, withTag } from "../tag.ts";
import { SYSTEM_PATH } from "../tools.ts";
import { sendSignal } from "../tree.ts";
import { type Entry, StarterLost } from "./command.ts";
import { enterByNsenter } from "./enter.ts";
import { Excerpt } from "./excerpt.ts";
import { PREPARE, STDERR_FD, STDIN_FD, STDOUT_FD } from "./launch-script.ts";
import { LineReader } from "./line-reader.ts";
import { type CommandPipes, openPipes } from "./pipes.ts";
import { reapedCpu } from "./reaped-cpu.ts";
import { refusalIn } from "./refusal.ts";
import { withStdio } from "./stdio.ts";

/** A launcher that says nothing for this long has been stopped. */
const ANSWER_TIMEOUT_MS = 30_000;

/** What a launcher said before its end is read within this time after it. */
const LAST_WORDS_MS = 100;

/** How a launcher ended: as its child did, which nsenter(1) mirrors. */
export interface LauncherExit {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** CPU of the child and its children; `undefined` where it cannot be told from another's. */
  cpuMs: number | undefined;
}

/**
 * A shell that has entered the VM, has no privileges left, and waits for the script that makes it the command.
 * The entry costs two thirds of an exec's time; a launcher that is ready before it is needed saves them.
 */
export class Launcher {
  readonly tag: number;
  readonly exited: Promise<LauncherExit>;
  readonly #nsenter: ChildProcess;
  readonly #answers: LineReader;
  readonly #errors: Excerpt;
  #pipes: CommandPipes | undefined;
  #ending: AbortSignal | undefined;
  readonly #onEnding = () => this.#kill();
  #pid = 0;
  #hostPid = 0;

  private constructor(nsenter: ChildProcess, tag: number, tags: Tags) {
    this.#nsenter = nsenter;
    this.tag = tag;
    const { stdin, stdout, stderr } = withStdio(nsenter);
    this.#answers = new LineReader(stdout);
    this.#errors = new Excerpt(stderr);
    // The script's reader is gone once the shell has become the command.
    stdin.on("error", () => stdin.destroy());
    this.exited = new Promise((resolve) => {
      nsenter.once("exit", async (code, signal) =>
        resolve({ code, signal, cpuMs: await reapedCpu.ofExit() }),
      );
      nsenter.once("error", () => resolve({ code: null, signal: null, cpuMs: undefined }));
    });
    void this.exited.then(() => tags.release(tag));
  }

  /** Enters the VM; resolves when the shell inside waits. */
  static async start(entry: Entry): Promise<Launcher> {
    const { tools, tags } = entry;
    const [file, ...args] = enterByNsenter(entry, [tools.sh]);
    const tag = tags.acquire();
    let launcher: Launcher;
    try {
      const nsenter = withTag(tag, () =>
        spawn(file, args, {
          stdio: sealedStdio(["pipe", "pipe", "pipe"]),
          cwd: "/",
          // Nothing of the caller's environment: nsenter still runs on the host.
          env: { PATH: SYSTEM_PATH },
          // A session of its own: `kill 0` inside must not reach the server's process group.
          detached: true,
        }),
      );
      launcher = new Launcher(nsenter, tag, tags);
    } catch (error) {
      tags.release(tag);
      throw error;
    }
    launcher.#endWith(entry.ending);
    try {
      await launcher.#becomeReady();
      return launcher;
    } catch (error) {
      launcher.abandon();
      throw error;
    }
  }

  /** Stopped by a process of the VM, it would keep the VM from ending. */
  #endWith(ending: AbortSignal): void {
    this.#ending = ending;
    ending.addEventListener("abort", this.#onEnding);
  }

  async #becomeReady(): Promise<void> {
    this.#nsenter.stdin?.write(PREPARE);
    const pid = Number(await this.#answers.next(ANSWER_TIMEOUT_MS));
    const shell = HeldProcess.childOf(this.nsenterPid);
    try {
      if (!Number.isInteger(pid) || pid <= 0 || shell === undefined) throw await this.#failure();
      this.#pid = pid;
      this.#hostPid = shell.pid;
      this.#pipes = openPipes(shell.folder, STDIN_FD, STDOUT_FD, STDERR_FD);
    } finally {
      shell?.close();
    }
  }

  /** The shell that waits, and the command it becomes, as the VM sees it. */
  get pid(): number {
    return this.#pid;
  }

  get hostPid(): number {
    return this.#hostPid;
  }

  get nsenterPid(): number {
    return this.#nsenter.pid ?? 0;
  }

  get pipes(): CommandPipes {
    if (this.#pipes === undefined) throw new Error("the launcher is not ready");
    return this.#pipes;
  }

  get isAlive(): boolean {
    return this.#nsenter.exitCode === null && this.#nsenter.signalCode === null;
  }

  /** Makes the shell the command; answers what it said first: LAUNCHED or NO_CWD. */
  async launch(script: string): Promise<string> {
    this.#nsenter.stdin?.write(script);
    const answer = await this.#answers.next(ANSWER_TIMEOUT_MS);
    this.#closeControl();
    if (answer === undefined) throw await this.#failure();
    return answer;
  }

  async #failure(): Promise<Error> {
    this.#kill();
    // A process of the VM may hold its stderr for ever.
    await Promise.race([
      this.#errors.ended,
      this.exited.then(() => new Promise((resolve) => setTimeout(resolve, LAST_WORDS_MS))),
    ]);
    const detail = this.#errors.text.trim();
    return refusalIn(detail) ?? new StarterLost(`the launcher has ended: ${detail}`);
  }

  /** Ends a launcher that has not become a command, or frees what is left of one that has ended. */
  abandon(): void {
    this.#kill();
    this.#closeControl();
    this.#pipes?.stdin.close();
    this.#pipes?.stdout.close();
    this.#pipes?.stderr.close();
  }

  #kill(): void {
    if (!this.isAlive) return;
    const children = childrenOf(this.nsenterPid);
    for (const pid of children) sendSignal(pid, "SIGKILL");
    // nsenter ends with its child, but stops with it as well.
    sendSignal(this.nsenterPid, children.length === 0 ? "SIGKILL" : "SIGCONT");
  }

  #closeControl(): void {
    this.#ending?.removeEventListener("abort", this.#onEnding);
    this.#answers.close();
    this.#nsenter.stdin?.destroy();
    this.#nsenter.stderr?.destroy();
  }
}
