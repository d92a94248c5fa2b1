import { type ChildProcess, spawn } from "node:child_process";
import { createInterface, type Interface } from "node:readline";
import { text } from "node:stream/consumers";
import { sealedStdio } from "../descriptors.ts";
import { childrenOf } from "../procfs.ts";
import { type Tags, withTag } from "../tag.ts";
import { SYSTEM_PATH } from "../tools.ts";
import { sendSignal } from "../tree.ts";
import { type Entry, StarterLost } from "./command.ts";
import { enterArguments } from "./enter.ts";
import { PREPARE, STDERR_FD, STDIN_FD, STDOUT_FD } from "./launch-script.ts";
import { type CommandPipes, openPipes } from "./pipes.ts";
import { reapedCpu } from "./reaped-cpu.ts";
import { refusalIn } from "./refusal.ts";
import { withStdio } from "./stdio.ts";

/** A launcher that says nothing for this long has been stopped. */
const ANSWER_TIMEOUT_MS = 30_000;

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
  readonly #answers: AsyncIterator<string>;
  readonly #lines: Interface;
  readonly #errors: Promise<string>;
  #pipes: CommandPipes | undefined;
  #pid = 0;
  #hostPid = 0;

  private constructor(nsenter: ChildProcess, tag: number, tags: Tags) {
    this.#nsenter = nsenter;
    this.tag = tag;
    const { stdin, stdout, stderr } = withStdio(nsenter);
    this.#lines = createInterface({ input: stdout });
    this.#answers = this.#lines[Symbol.asyncIterator]();
    this.#errors = text(stderr).catch(() => "");
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
    const { tools, initPid, owner, tags } = entry;
    const tag = tags.acquire();
    let launcher: Launcher;
    try {
      const nsenter = withTag(tag, () =>
        spawn(tools.nsenter, [...enterArguments(initPid, tools), tools.sh], {
          stdio: sealedStdio(["pipe", "pipe", "pipe"]),
          cwd: "/",
          // Nothing of the caller's environment: nsenter still runs on the host, setpriv with privileges in the VM.
          env: { PATH: SYSTEM_PATH },
          // A session of its own: `kill 0` inside must not reach the server's process group.
          detached: true,
          ...(owner === null ? {} : owner),
        }),
      );
      launcher = new Launcher(nsenter, tag, tags);
    } catch (error) {
      tags.release(tag);
      throw error;
    }
    try {
      await launcher.#becomeReady(entry);
      return launcher;
    } catch (error) {
      launcher.abandon();
      throw error;
    }
  }

  async #becomeReady({ confine }: Entry): Promise<void> {
    this.#nsenter.stdin?.write(PREPARE);
    const pid = Number(await this.#answer());
    const hostPid = childrenOf(this.nsenterPid)[0];
    if (!Number.isInteger(pid) || pid <= 0 || hostPid === undefined) throw await this.#failure();
    this.#pid = pid;
    this.#hostPid = hostPid;
    await confine(hostPid);
    this.#pipes = openPipes(hostPid, STDIN_FD, STDOUT_FD, STDERR_FD);
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
    const answer = await this.#answer();
    this.#closeControl();
    if (answer === undefined) throw await this.#failure();
    return answer;
  }

  /** The shell's next line; `undefined` when it has ended, or when a process of the VM keeps it from running. */
  async #answer(): Promise<string | undefined> {
    const deadline = setTimeout(() => this.#lines.close(), ANSWER_TIMEOUT_MS);
    try {
      const { value, done } = await this.#answers.next();
      return done ? undefined : (value as string);
    } finally {
      clearTimeout(deadline);
    }
  }

  async #failure(): Promise<Error> {
    if (this.isAlive) sendSignal(this.nsenterPid, "SIGKILL");
    const detail = (await this.#errors).trim();
    return refusalIn(detail) ?? new StarterLost(`the launcher has ended: ${detail}`);
  }

  /** Ends a launcher that has not become a command, or frees what is left of one that has ended. */
  abandon(): void {
    if (this.isAlive) {
      if (this.#hostPid !== 0) sendSignal(this.#hostPid, "SIGKILL");
      sendSignal(this.nsenterPid, "SIGKILL");
    }
    this.#closeControl();
    this.#pipes?.stdin.close();
    this.#pipes?.stdout.close();
    this.#pipes?.stderr.close();
  }

  #closeControl(): void {
    this.#lines.close();
    this.#nsenter.stdin?.destroy();
    this.#nsenter.stdout?.destroy();
    this.#nsenter.stderr?.destroy();
  }
}
