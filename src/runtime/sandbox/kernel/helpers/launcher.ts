import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, constants as fs, openSync } from "node:fs";
import { Socket } from "node:net";
import { constants } from "node:os";
import util from "node:util";
import { O_PATH } from "../../posix.ts";
import { sealedStdio } from "../descriptors.ts";
import { findTool, SYSTEM_PATH } from "../tools.ts";
import { encodeFields, encodeFrame, encodeNumber, type Frame, FrameReader } from "./frames.ts";
import { type Exit, Launched } from "./launched.ts";
import { openPipe } from "./open-pipe.ts";
import { helperCommand, helperSource } from "./programs.ts";

const PROGRAM = helperSource("launcher");

/** Descriptor of Node's channel in the launcher, and in programs that have it. */
export const CHANNEL_FD = 3;

/** Longest frame of the launcher, in bytes. */
const MAX_REPORT_BYTES = 64;

/** Tries of a start: the launcher may have ended a moment ago. */
const MAX_TRIES = 2;

/** The launcher has ended before it has started a program. */
class LauncherLost extends Error {}

/** The host has no process or no descriptor left for a program. */
export class LaunchRefused extends Error {
  readonly errno: number;

  constructor(program: string, errno: number) {
    super(`${program}: ${util.getSystemErrorMessage(-errno)}`);
    this.errno = errno;
  }
}

export interface LaunchRequest {
  command: readonly [file: string, ...args: string[]];
  /** Host user that it runs as. @default the server's */
  owner?: { uid: number; gid: number } | null;
  /** A directory's descriptor, which is descriptor 3 of the program. The program has it, whatever becomes of the server's. */
  rootFd?: number;
  /** Takes the messages of a program that passes sockets. It gets one argument more: the number of its launch. */
  onPassed?(message: object, handle: unknown): void;
}

interface Waiting {
  request: LaunchRequest;
  started: PromiseWithResolvers<Launched>;
}

let current: Launcher | undefined;

/**
 * Starts a program that inherits no descriptor and no variable of the server, in a session of its own. It ends with the server.
 *
 * @throws LaunchRefused if the host has no process or no descriptor left
 */
export async function launch(request: LaunchRequest): Promise<Launched> {
  for (let tries = 1; ; tries++) {
    current = current?.isUsable === true ? current : new Launcher();
    // The launcher opens it by its number, which may be another's once the caller has closed its own.
    const held = request.rootFd === undefined ? undefined : hold(request.rootFd);
    try {
      return await current.start(request, held);
    } catch (error) {
      if (!(error instanceof LauncherLost) || tries === MAX_TRIES) throw error;
    } finally {
      if (held !== undefined) closeSync(held);
    }
  }
}

/**
 * A small process that starts programs for the server. Node forks the server itself to start a program: with 400 MB of memory this
 * stops the event loop for 10 ms. The launcher runs while a program that it has started runs.
 */
class Launcher {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  /** Programs that run; `undefined` for one whose pipes could not be opened. */
  readonly #running = new Map<number, Launched | undefined>();
  readonly #listeners = new Map<number, NonNullable<LaunchRequest["onPassed"]>>();
  readonly #gone: Promise<void>;
  #unsent: Buffer[] = [];
  #lastId = 0;
  #isClosing = false;
  /** The server has no process left for the launcher itself. */
  #isRefused = false;

  constructor() {
    const [file, ...args] = helperCommand(findTool("perl") ?? "perl", PROGRAM, [CHANNEL_FD, process.pid]);
    this.#process = spawn(file, args, {
      // Node receives descriptors (SCM_RIGHTS) only through its own channel between processes.
      stdio: sealedStdio(["pipe", "pipe", "ignore", "ipc"]),
      cwd: "/",
      env: { PATH: SYSTEM_PATH },
      detached: true,
    });
    this.#process.on("error", ({ code }: NodeJS.ErrnoException) => {
      this.#isRefused ||= code === "EAGAIN";
    });
    this.#process.stdin?.on("error", () => undefined);
    this.#gone = new Promise((resolve) => {
      const { pid, stdout } = this.#process;
      // Without a pid it has not started, and Node reports no end.
      if (pid === undefined || stdout === null) setImmediate(resolve);
      else this.#process.once("exit", () => resolve());
    });
    void this.#gone.then(() => this.#lose());
    const reader = new FrameReader(MAX_REPORT_BYTES);
    this.#process.stdout?.on("data", (data: Buffer) => {
      try {
        for (const frame of reader.push(data)) this.#onFrame(frame);
      } catch {
        this.#process.kill("SIGKILL");
      }
    });
    this.#process.on("message", (message: { of?: number }, handle: unknown) => {
      const listener = this.#listeners.get(message.of ?? 0);
      if (listener !== undefined) listener(message, handle);
      else closeHandle(handle);
    });
  }

  get isUsable(): boolean {
    return !this.#isClosing && this.#process.exitCode === null && this.#process.signalCode === null;
  }

  start(request: LaunchRequest, rootFd = -1): Promise<Launched> {
    const id = ++this.#lastId;
    const { command, owner, onPassed } = request;
    if (onPassed !== undefined) this.#listeners.set(id, onPassed);
    const started = Promise.withResolvers<Launched>();
    this.#waiting.set(id, { request, started });
    const passes = onPassed === undefined ? 0 : 1;
    const last = passes === 1 ? [id] : [];
    this.#send(
      "x",
      id,
      encodeFields(owner?.uid ?? -1, owner?.gid ?? -1, passes, rootFd, ...command, ...last),
    );
    return started.promise;
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
    if (kind === "S" && waiting !== undefined) this.#started(id, waiting, numbers);
    else if (kind === "N" && waiting !== undefined) {
      const [errno = 0] = numbers;
      this.#listeners.delete(id);
      waiting.started.reject(new LaunchRefused(waiting.request.command[0], errno));
      void this.#closeIfIdle();
    } else if (kind === "E") void this.#ended(id, numbers[0] ?? 0);
    else throw new Error(`the launcher sent ${JSON.stringify(kind)}`);
  }

  #started(id: number, { request, started }: Waiting, [pid = 0, stdin = 0, ...outputs]: number[]): void {
    const fds: number[] = [];
    const kill = (signal: NodeJS.Signals) => this.#send("k", id, encodeNumber(constants.signals[signal]));
    try {
      const holder = `/proc/${this.#process.pid}`;
      fds.push(openPipe(holder, stdin, "write"));
      for (const output of outputs) fds.push(openPipe(holder, output, "read"));
      const [input, output, errors] = fds as [number, number, number];
      const launched = new Launched(pid, kill, {
        stdin: new Socket({ fd: input, readable: false, writable: true }),
        stdout: new Socket({ fd: output, readable: true, writable: false }),
        stderr: new Socket({ fd: errors, readable: true, writable: false }),
      });
      this.#running.set(id, launched);
      started.resolve(launched);
    } catch (error) {
      for (const fd of fds) closeSync(fd);
      this.#running.set(id, undefined);
      kill("SIGKILL");
      const what = error instanceof Error ? error.message : String(error);
      started.reject(new Error(`${request.command[0]}: ${what}`));
    }
    this.#send("c", id);
  }

  async #ended(id: number, status: number): Promise<void> {
    const launched = this.#running.get(id);
    this.#running.delete(id);
    this.#listeners.delete(id);
    await this.#closeIfIdle();
    launched?.end(exitOf(status));
  }

  /** Ends with the last program. */
  async #closeIfIdle(): Promise<void> {
    if (this.#running.size + this.#waiting.size > 0 || this.#isClosing) return;
    this.#isClosing = true;
    if (this.#process.connected) this.#process.disconnect();
    this.#process.stdin?.end();
    await this.#gone;
  }

  /** The kernel has killed all that it had started. */
  #lose(): void {
    this.#isClosing = true;
    for (const { request, started } of this.#waiting.values()) {
      const lost = new LauncherLost("the launcher has ended");
      started.reject(this.#isRefused ? new LaunchRefused(request.command[0], constants.errno.EAGAIN) : lost);
    }
    for (const launched of this.#running.values()) launched?.end({ code: null, signal: "SIGKILL" });
    this.#waiting.clear();
    this.#running.clear();
    this.#listeners.clear();
  }
}

/** Opens a directory once more. */
function hold(fd: number): number {
  return openSync(`/proc/self/fd/${fd}`, O_PATH | fs.O_DIRECTORY);
}

function exitOf(status: number): Exit {
  const number = status & 0x7f;
  if (number === 0) return { code: (status >> 8) & 0xff, signal: null };
  const named = Object.entries(constants.signals).find(([, value]) => value === number);
  return { code: null, signal: (named?.[0] ?? "SIGKILL") as NodeJS.Signals };
}

/** Closes a socket that nobody waits for any more. */
export function closeHandle(handle: unknown): void {
  if (handle instanceof Socket) handle.destroy();
  else if (
    typeof handle === "object" &&
    handle !== null &&
    "close" in handle &&
    typeof handle.close === "function"
  )
    handle.close();
}
