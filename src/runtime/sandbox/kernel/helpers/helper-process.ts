import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, closeSync, constants as modes } from "node:fs";
import { constants } from "node:os";
import type { Readable, Writable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { within } from "../../../../base/within.ts";
import type { Owner } from "../../own-uids.ts";
import { sealedStdio } from "../descriptors.ts";
import { HeldProcess } from "../procfs/held-process.ts";
import { sendSignal } from "../procfs/process-trees.ts";
import { childrenOf } from "../procfs/procfs.ts";
import { SYSTEM_PATH } from "../tools.ts";
import { Excerpt } from "./excerpt.ts";
import { encodeFrame, type Frame, FrameReader, MAX_FRAME_BYTES } from "./frames.ts";
import { hold, launch } from "./launch.ts";
import type { Launched } from "./launched.ts";
import { LaunchRefused, type LaunchRequest } from "./launcher.ts";
import { refusal } from "./refusal.ts";

/** Frames that a helper has sent and that are not read when it ends are waited for this long, in milliseconds. */
const DRAIN_MS = 100;

/** Helper programs end before they have done their work, e.g. because a process of the VM kills them. Worth another try. */
export class HelperLost extends Error {}

/** How a helper speaks. */
interface Speech {
  /** Names it in errors, e.g. `"spawner"`. */
  name: string;
  /** Longest frame that it may send, in bytes. @default MAX_FRAME_BYTES */
  maxFrameBytes?: number;
  /** Requests that it has not read, in bytes; a helper that leaves more is killed. @default unlimited */
  maxUnreadBytes?: number;
  /** Takes each frame; the helper is killed if this throws. @default the frames wait for `frames()` */
  onFrame?(frame: Frame): void;
}

interface HelperOptions extends Speech {
  command: readonly [file: string, ...args: string[]];
  /** Its descriptors from 3 on. */
  descriptors?: readonly (number | "ipc")[];
  /** Host user that it runs as. @default the server's */
  owner?: Owner | null;
}

interface LaunchedHelper extends Speech, LaunchRequest {}

/** The process of a helper, and the server's ends of its pipes. */
export interface HelperBody {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** The text that it writes to stderr. */
  readonly errors: Excerpt;
  /** Resolves once the process has ended. */
  readonly gone: Promise<unknown>;
  /** Resolves once nobody has the other ends of its pipes. */
  readonly closed: Promise<unknown>;
  /** `true` for the child of a boot, which is its own process in the VM. */
  readonly isForked?: boolean;
  /** Lists the host pids of its processes in the VM. */
  children(): number[];
  /** Holds its process in the VM. */
  inside(): HeldProcess | undefined;
  kill(): void;
  /** Closes the pipes. */
  release(): void;
}

/**
 * A small program that the server runs beside a VM or inside it. It inherits no descriptor and no variable of the server,
 * speaks in frames, and ends with its stdin. It may itself be the one child of a process that entered the VM for it.
 */
export class HelperProcess {
  /** Resolves once it has ended and its last frames have been handed out. */
  readonly ended: Promise<void>;
  /** `undefined` for the child of another process. */
  readonly process: ChildProcess | undefined;
  readonly #options: Speech;
  readonly #body: HelperBody;
  #unsent: Buffer[] = [];
  #lost = false;

  constructor(options: Speech, body: HelperBody, child?: ChildProcess) {
    this.#options = options;
    this.#body = body;
    this.process = child;
    body.stdin.on("error", () => this.kill());
    this.ended = this.#untilEnd();
    if (options.onFrame !== undefined) this.#read(options.onFrame);
  }

  /** @throws AgentVmError EAGAIN if the host has no process left; HelperLost if it has no descriptor or no such program */
  static start(options: HelperOptions): HelperProcess {
    const [file, ...args] = options.command;
    const child = spawn(file, args, {
      stdio: sealedStdio(["pipe", "pipe", "pipe", ...(options.descriptors ?? [])]),
      cwd: "/",
      env: { PATH: SYSTEM_PATH },
      detached: true,
      ...(options.owner ?? {}),
    });
    child.on("error", () => undefined);
    const { pid, stdin, stdout, stderr } = child;
    // Node gives a child no pipes if the server is out of descriptors, and only no pid if it is out of processes.
    if (pid === undefined || stdin === null || stdout === null || stderr === null) {
      for (const stream of [stdin, stdout, stderr]) stream?.destroy();
      // Without a pid, kill() would signal an arbitrary number, which may be -1: every process of the host.
      if (pid !== undefined) child.kill("SIGKILL");
      // Their types say null, but they are undefined.
      const hasPipes = Boolean(stdin && stdout && stderr);
      if (hasPipes && isProgram(file)) throw refusal(constants.errno.EAGAIN);
      const reason = hasPipes ? `the server cannot run ${file}` : "the server has no descriptors left";
      throw new HelperLost(`the ${options.name} did not start: ${reason}`);
    }
    const body: HelperBody = {
      ...{ stdin, stdout, errors: new Excerpt(stderr) },
      gone: new Promise((resolve) => child.once("exit", resolve)),
      closed: new Promise((resolve) => child.once("close", resolve)),
      children: () => childrenOf(pid),
      inside: () => HeldProcess.childOf(pid),
      kill: () => child.kill("SIGKILL"),
      release: () => {
        for (const stream of [stdin, stdout, stderr]) stream.destroy();
      },
    };
    return new HelperProcess(options, body, child);
  }

  /**
   * Starts a helper through the launcher.
   *
   * @throws AgentVmError EAGAIN if the host has no process left; HelperLost if it has no descriptor left
   */
  static async launch(options: LaunchedHelper): Promise<HelperProcess> {
    let launched: Launched;
    let held: number | undefined;
    try {
      // Its number may be another directory's once the caller has closed it.
      if (options.rootFd !== undefined) held = hold(options.rootFd);
      launched = await launch({ ...options, ...(held !== undefined && { rootFd: held }) });
    } catch (error) {
      const errno = error instanceof LaunchRefused ? error.errno : 0;
      if (errno === constants.errno.EAGAIN) throw refusal(errno);
      // The kernel hides the descriptors of a server that has capabilities of its program's file, or has changed its user.
      const { EACCES, EPERM, ENOENT } = constants.errno;
      if (held !== undefined && [EACCES, EPERM, ENOENT].includes(errno))
        return HelperProcess.start({ ...options, descriptors: [held] });
      const detail = error instanceof Error ? error.message : String(error);
      throw new HelperLost(`the ${options.name} did not start: ${detail}`);
    } finally {
      if (held !== undefined) closeSync(held);
    }
    const { stdin, stdout, stderr } = launched;
    return new HelperProcess(options, {
      ...{ stdin, stdout, errors: new Excerpt(stderr) },
      ...{ gone: launched.exited, closed: launched.closed },
      children: () => launched.children(),
      inside: () => launched.inside(),
      kill: () => launched.kill(),
      release: () => launched.release(),
    });
  }

  get isLost(): boolean {
    return this.#lost;
  }

  /** The text that it wrote to stderr, up to a limit. */
  get errors(): string {
    return this.#body.errors.text.trim();
  }

  get loss(): HelperLost {
    const detail = this.errors;
    return new HelperLost(`the ${this.#options.name} has ended${detail === "" ? "" : `: ${detail}`}`);
  }

  /** Frames of one turn of the event loop are written together. */
  send(kind: string, number: number, body?: Uint8Array): void {
    if (this.#lost) return;
    if (this.#unsent.length === 0) queueMicrotask(() => this.#flush());
    this.#unsent.push(encodeFrame(kind, number, body));
  }

  /** Writes one piece. @returns once the helper has taken it, or has ended */
  async write(piece: Buffer): Promise<void> {
    const { stdin } = this.#body;
    if (stdin.destroyed) return;
    if (!stdin.write(piece)) await Promise.race([once(stdin, "drain").catch(() => undefined), this.ended]);
  }

  /** Host pids of the processes that it started; one, if it entered the VM. None once it has ended. */
  get children(): number[] {
    return this.#lost ? [] : this.#body.children();
  }

  /** Holds its process in the VM. @returns `undefined` if it has ended */
  inside(): HeldProcess | undefined {
    return this.#lost ? undefined : this.#body.inside();
  }

  /** A process of the VM may have stopped a helper inside. */
  wake(): void {
    for (const pid of this.children) sendSignal(pid, "SIGCONT");
  }

  kill(): void {
    if (this.#lost) return;
    const { children } = this;
    // A process that waits for its child ends by itself, and nobody else would take the child's end.
    for (const pid of children) sendSignal(pid, "SIGKILL");
    // Nobody reports the end of a helper that a boot has forked: its body looks for it.
    if (children.length === 0 || this.#body.isForked) this.#body.kill();
    // A server without a descriptor left finds no process. A helper ends with its stdin.
    this.#body.stdin.destroy();
  }

  async close(): Promise<void> {
    this.kill();
    await this.ended;
  }

  #flush(): void {
    const [first] = this.#unsent;
    const data = this.#unsent.length === 1 && first !== undefined ? first : Buffer.concat(this.#unsent);
    this.#unsent = [];
    if (this.#lost) return;
    this.#body.stdin.write(data);
    const { maxUnreadBytes = Number.POSITIVE_INFINITY } = this.#options;
    if (this.#body.stdin.writableLength > maxUnreadBytes) this.kill();
  }

  /** Its frames, if there is no `onFrame`. No more is read while the reader is busy. */
  async *frames(): AsyncGenerator<Frame> {
    const reader = this.#reader();
    try {
      for await (const data of this.#body.stdout) yield* reader.push(data as Buffer);
    } finally {
      this.kill();
    }
  }

  #reader(): FrameReader {
    return new FrameReader(this.#options.maxFrameBytes ?? MAX_FRAME_BYTES);
  }

  #read(onFrame: (frame: Frame) => void): void {
    const reader = this.#reader();
    const { stdout } = this.#body;
    const breakOff = () => {
      stdout.destroy();
      this.kill();
    };
    stdout.on("error", breakOff);
    stdout.on("data", (data: Buffer) => {
      try {
        for (const frame of reader.push(data)) onFrame(frame);
      } catch {
        // Something else speaks in its place.
        breakOff();
      }
    });
  }

  async #untilEnd(): Promise<void> {
    const { gone, closed } = this.#body;
    await gone;
    // From now on its pid may be another process's.
    this.#lost = true;
    // A process that it started may hold its stdout.
    await within(closed, DRAIN_MS);
    // The time may have passed while the event loop stood still: frames that have come are read first.
    await nextTurn();
    this.#body.release();
  }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, modes.X_OK);
    return true;
  } catch {
    return false;
  }
}
