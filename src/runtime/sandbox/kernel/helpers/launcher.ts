import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { constants } from "node:os";
import util from "node:util";
import type { Owner } from "../../own-uids.ts";
import { sealedStdio } from "../descriptors.ts";
import { readStat } from "../procfs/procfs.ts";
import { findTool, SYSTEM_PATH } from "../tools.ts";
import { encodeFields, encodeFrame, type Frame, FrameReader } from "./frames.ts";
import { Launched } from "./launched.ts";
import { CHANNEL_FD, LauncherChannel, type OnPassed } from "./launcher-channel.ts";
import { openEnd } from "./open-pipe.ts";
import { helperCommand, launcherSource } from "./programs.ts";
import { parseWaitStatus } from "./wait-status.ts";

const PROGRAM = launcherSource();

/** Longest frame of the launcher, in bytes. */
const MAX_REPORT_BYTES = 64;

/**
 * Time for the launcher to answer.
 * @unit ms
 * @past Another launcher starts programs from then on. The programs of the silent launcher run on.
 */
const LAUNCHER_ANSWER_MS = 20_000;

/** Questions that the launcher may leave without an answer. They come at regular times, so a server that stood still reads answers first. */
const MAX_UNANSWERED = 2;

/** Errors of procfs for a launcher that has ended. */
const ENDED_CODES: readonly string[] = ["EACCES", "ENOENT", "ESRCH"];

/** The launcher has ended before it has started a program. */
export class LauncherLost extends Error {}

/** The launcher could not start a program: the host has no process or no descriptor left, or hides the server's. */
export class LaunchRefused extends Error {
  readonly errno: number;

  constructor(program: string, errno: number) {
    super(`${program}: ${util.getSystemErrorMessage(-errno)}`);
    this.errno = errno;
  }
}

export interface LaunchRequest {
  /** A program's path and arguments, or the name and the arguments of a program that the launcher becomes. */
  command: readonly [file: string, ...args: string[]];
  /** Flags of unshare(2) for namespaces of its own. Its own user namespace has only its root. @default none */
  namespaces?: number;
  /** Host user that it runs as. @default the server's */
  owner?: Owner | null;
  /** A directory's descriptor, which is descriptor 3 of the program. The program has it, whatever becomes of the server's. */
  rootFd?: number;
  /**
   * `true` for a program that lives with its VM and says little: its pipes have one page each. The kernel gives all pipes of a user few
   * pages, and then new pipes of commands hold less.
   */
  hasSmallPipes?: boolean;
  /** Gives up the start. A program that the launcher has forked already ends before it does anything. */
  signal?: AbortSignal;
  /** Takes the messages of a program that passes sockets. It gets one argument more: the secret name of its launch. */
  onPassed?: OnPassed;
}

interface Waiting {
  request: LaunchRequest;
  started: PromiseWithResolvers<Launched>;
}

/**
 * A small process that starts programs for the server. Node forks the server itself to start a program: with 400 MB of memory this
 * stops the event loop for 10 ms. The launcher runs while a program that it has started runs.
 */
export class Launcher {
  readonly #process: ChildProcess;
  readonly #channel: LauncherChannel;
  readonly #waiting = new Map<number, Waiting>();
  /** Programs that run; `undefined` for one whose pipes could not be opened. */
  readonly #running = new Map<number, Launched | undefined>();
  readonly #gone: Promise<void>;
  readonly #asking: NodeJS.Timeout;
  #unsent: Buffer[] = [];
  #lastId = 0;
  #unanswered = 0;
  #isClosing = false;
  /** It has left questions without an answer: it stands still, or the machine is very busy. */
  #isSilent = false;
  /** It has ended, though Node has not said so yet. */
  #isOver = false;
  /** Why it did not start. */
  #failure: NodeJS.ErrnoException | undefined;

  constructor() {
    const [file, ...args] = helperCommand(findTool("perl") ?? "perl", PROGRAM, [CHANNEL_FD, process.pid]);
    this.#process = spawn(file, args, {
      // Node receives descriptors (SCM_RIGHTS) only through its own channel between processes.
      stdio: sealedStdio(["pipe", "pipe", "ignore", "ipc"]),
      cwd: "/",
      env: { PATH: SYSTEM_PATH },
      detached: true,
    });
    this.#channel = new LauncherChannel(this.#process);
    this.#process.on("error", (error) => {
      if (this.#process.pid === undefined) this.#failure = error;
    });
    this.#process.stdin?.on("error", () => undefined);
    this.#gone = new Promise((resolve) => {
      const { pid, stdout } = this.#process;
      // Without a pid it has not started, and Node reports no end.
      if (pid === undefined) setImmediate(resolve);
      else this.#process.once("exit", () => resolve());
      if (pid === undefined || stdout !== null) return;
      this.#failure = new Error("the server has no descriptors left");
      this.#process.kill("SIGKILL");
    });
    this.#asking = setInterval(() => this.#ask(), LAUNCHER_ANSWER_MS / MAX_UNANSWERED).unref();
    void this.#gone.then(() => this.#lose());
    const reader = new FrameReader(MAX_REPORT_BYTES);
    this.#process.stdout?.on("error", () => this.#process.kill("SIGKILL"));
    this.#process.stdout?.on("data", (data: Buffer) => {
      try {
        for (const frame of reader.push(data)) this.#onFrame(frame);
      } catch {
        this.#process.kill("SIGKILL");
      }
    });
  }

  get isUsable(): boolean {
    const { connected, exitCode, signalCode } = this.#process;
    return (
      !this.#isClosing &&
      !this.#isSilent &&
      !this.#isOver &&
      connected &&
      exitCode === null &&
      signalCode === null
    );
  }

  async start(request: LaunchRequest, rootFd = -1): Promise<Launched> {
    const id = ++this.#lastId;
    const { namespaces = 0, hasSmallPipes, onPassed, signal } = request;
    if (onPassed !== undefined) this.#channel.listen(id, onPassed);
    const started = Promise.withResolvers<Launched>();
    this.#waiting.set(id, { request, started });
    const settings = [namespaces, onPassed === undefined ? 0 : 1, rootFd, hasSmallPipes ? 1 : 0];
    this.#send("x", id, encodeFields(...settings));
    const giveUp = () => {
      // Without its request it ends.
      if (this.#waiting.delete(id)) this.#channel.unlisten(id);
      started.reject(signal?.reason);
    };
    signal?.addEventListener("abort", giveUp, { once: true });
    try {
      return await started.promise;
    } finally {
      signal?.removeEventListener("abort", giveUp);
    }
  }

  /** Asks whether it works. A launcher that is asked to end answers by its end. */
  #ask(): void {
    if (this.#isSilent) this.#takeEnds();
    else if (this.#unanswered >= MAX_UNANSWERED) this.#fallSilent();
    else {
      this.#unanswered += 1;
      if (!this.#isClosing) this.#send("p", 0);
    }
  }

  /** Another launcher starts programs from now on. The programs of this one run on. */
  #fallSilent(): void {
    this.#isSilent = true;
    for (const { started } of this.#waiting.values())
      started.reject(new LauncherLost("the launcher does not answer"));
    this.#waiting.clear();
    this.#takeEnds();
    // It has no program any more, and has not ended.
    if (this.#isClosing) this.#process.kill("SIGKILL");
  }

  /** Looks for programs that have ended, in place of a launcher that is silent. */
  #takeEnds(): void {
    for (const [id, launched] of this.#running)
      if (launched === undefined || launched.isOver) this.#ended(id, constants.signals.SIGKILL);
    void this.#closeIfIdle();
  }

  /** Frames of one turn of the event loop are written together. */
  #send(kind: string, id: number, body?: Uint8Array): void {
    if (this.#unsent.length === 0)
      queueMicrotask(() => this.#process.stdin?.write(Buffer.concat(this.#unsent.splice(0))));
    this.#unsent.push(encodeFrame(kind, id, body));
  }

  #onFrame({ kind, number: id, body }: Frame): void {
    const numbers = Array.from({ length: body.length / 4 }, (_, index) => body.readUInt32BE(index * 4));
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    // Whatever it says, it works.
    this.#unanswered = 0;
    this.#isSilent = false;
    if (kind === "S" && waiting !== undefined) this.#started(id, waiting, numbers);
    // Nobody waits for it: without its request it ends.
    else if (kind === "S") this.#send("c", id);
    else if (kind === "N" && waiting !== undefined) {
      const [errno = 0] = numbers;
      this.#channel.unlisten(id);
      waiting.started.reject(new LaunchRefused(waiting.request.command[0], errno));
      void this.#closeIfIdle();
    } else if (kind === "N") void this.#closeIfIdle();
    else if (kind === "E") this.#ended(id, numbers[0] ?? 0);
    else if (kind !== "P") throw new Error(`the launcher sent ${JSON.stringify(kind)}`);
  }

  #started(id: number, { request, started }: Waiting, [pid = 0, ...ends]: number[]): void {
    const open: Socket[] = [];
    try {
      const parent = this.#process.pid ?? 0;
      for (const [index, end] of ends.entries())
        open.push(openEnd(`/proc/${parent}`, end, index === 0 ? "write" : "read"));
      const [stdin, stdout, stderr] = open as [Socket, Socket, Socket];
      const stat = readStat(pid);
      const startTime = stat?.ppid === parent ? stat.startTime : undefined;
      const launched = new Launched({ pid, startTime, stdin, stdout, stderr }, () => this.#send("k", id));
      const { command, owner } = request;
      const name = this.#channel.nameOf(id);
      const fields = [owner?.uid ?? -1, owner?.gid ?? -1, ...command, ...(name === undefined ? [] : [name])];
      // The launcher keeps what it reads, and its children have all that it keeps. So the program itself reads what it is.
      stdin.write(encodeFrame("x", 0, encodeFields(...fields)));
      this.#running.set(id, launched);
      started.resolve(launched);
    } catch (error) {
      for (const socket of open) socket.destroy();
      // Without its request it ends.
      this.#running.set(id, undefined);
      const { code = "", message } = error as NodeJS.ErrnoException;
      this.#isOver ||= ENDED_CODES.includes(code);
      const text = `${request.command[0]}: ${message}`;
      started.reject(this.#isOver ? new LauncherLost(text) : new Error(text));
    }
    this.#send("c", id);
  }

  #ended(id: number, status: number): void {
    const launched = this.#running.get(id);
    this.#running.delete(id);
    this.#channel.unlisten(id);
    const closed = this.#closeIfIdle();
    launched?.end(parseWaitStatus(status), closed);
  }

  /** Ends with the last program. */
  async #closeIfIdle(): Promise<void> {
    if (this.#running.size + this.#waiting.size > 0 || this.#isClosing) return;
    this.#isClosing = true;
    if (this.#process.connected) this.#process.disconnect();
    this.#process.stdin?.end();
    if (this.#isSilent) this.#process.kill("SIGKILL");
    await this.#gone;
  }

  /** The kernel kills all that it had started. */
  #lose(): void {
    this.#isClosing = true;
    clearInterval(this.#asking);
    const { exitCode, signalCode } = this.#process;
    const how = this.#failure?.message ?? `it ended with ${signalCode ?? exitCode}`;
    const isRefused = this.#failure?.code === "EAGAIN";
    for (const { request, started } of this.#waiting.values()) {
      const lost = new LauncherLost(`the launcher does not work: ${how}`);
      started.reject(isRefused ? new LaunchRefused(request.command[0], constants.errno.EAGAIN) : lost);
    }
    for (const launched of this.#running.values()) launched?.orphan();
    this.#waiting.clear();
    this.#running.clear();
    this.#channel.close();
  }
}
