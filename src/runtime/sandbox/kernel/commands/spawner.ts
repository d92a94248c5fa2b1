import { constants } from "node:os";
import { Semaphore } from "../../../../base/semaphore.ts";
import { spawnerCommand } from "../helpers/enter.ts";
import { encodeFields, encodeNumber, type Frame } from "../helpers/frames.ts";
import { type HelperBody, HelperProcess } from "../helpers/helper-process.ts";
import type { Replaceable } from "../helpers/on-demand.ts";
import { refusalIn } from "../helpers/refusal.ts";
import type { HeldProcess } from "../procfs/held-process.ts";
import { type Child, childrenByInnerPid, killAll, taggedTree } from "../procfs/process-trees.ts";
import type { Entry, ProgramRequest, StartedCommand } from "./command.ts";
import type { CommandPipes } from "./pipes.ts";
import { SpawnedCommand } from "./spawned-command.ts";
import { MAX_MESSAGE_BYTES, messageIn } from "./spawner-messages.ts";

/**
 * Time for the spawner to start, and to start a command.
 * @unit ms
 * @past The server kills the spawner with all its commands. A command that has not begun is tried four
 * times in all.
 * @code vm_stopped
 */
const ANSWER_TIMEOUT_MS = 30_000;

/**
 * Time for the spawner to report the end of a killed command.
 * @unit ms
 * @past The server kills the spawner with all its commands.
 */
const EXIT_TIMEOUT_MS = 10_000;

/** A process of the VM may stop the spawner: as long as it owes an answer, it is woken this often. */
const WAKE_MS = 100;

/** While commands run, the spawner gets SIGCONT this often, in case a program of the VM has stopped it. */
const IDLE_WAKE_MS = 1000;

/** Stands for the boot's spawner itself, which holds the server's ends of its pipes. */
const BOOT_ID = 0;

/**
 * Requests that the spawner has not read.
 * @unit bytes
 * @past The server kills the spawner with all its commands.
 */
const MAX_UNREAD_BYTES = 32 * 1024 * 1024;

/**
 * Commands of one VM that start at the same time.
 * @unit commands
 * @past Further commands wait.
 */
const MAX_STARTING = 16;

/**
 * A small process inside the VM that forks its commands. To enter the VM for each command, the server would have to fork
 * its own large process and start three programs: 4 ms and more, half of it with the event loop stopped. The spawner
 * forks in a tenth of that. As the parent it gets the commands' status and usage from wait4(2).
 *
 * It has the rights of its commands, so a hostile VM may stop it, kill it or write in its place. The server accepts reports
 * only about the spawner's own commands, each of them once. Any other message ends the spawner.
 */
export class Spawner implements Replaceable {
  readonly ended: Promise<void>;
  readonly #entry: Entry;
  /** The process outside, whose only child is the spawner, or the spawner of the boot. */
  readonly #helper: HelperProcess;
  readonly #commands = new Map<number, SpawnedCommand>();
  readonly #starting = new Semaphore(MAX_STARTING);
  readonly #ready = Promise.withResolvers<void>();
  #inside: HeldProcess | undefined;
  #waker: NodeJS.Timeout | undefined;
  #lastId = 0;

  private constructor(entry: Entry, helper: HelperProcess) {
    this.#entry = entry;
    this.#helper = helper;
    this.#ready.promise.catch(() => undefined);
    this.ended = this.#helper.ended.then(() => this.#lose());
  }

  /** @param booted process of a boot that has started it */
  static async start(entry: Entry, booted?: HelperBody): Promise<Spawner> {
    let spawner: Spawner | undefined;
    const speech = {
      name: "spawner",
      maxFrameBytes: MAX_MESSAGE_BYTES,
      maxUnreadBytes: MAX_UNREAD_BYTES,
      // It speaks in a later turn of the event loop at the earliest.
      onFrame: (frame: Frame) => {
        if (spawner !== undefined) spawner.#onFrame(frame);
      },
    };
    let helper: HelperProcess;
    if (booted === undefined) {
      helper = await HelperProcess.launch({
        ...speech,
        command: spawnerCommand(entry),
        signal: entry.ending,
      });
    } else {
      helper = new HelperProcess(speech, booted);
      helper.send("c", BOOT_ID);
    }
    spawner = new Spawner(entry, helper);
    try {
      await spawner.#answer(spawner.#ready.promise, ANSWER_TIMEOUT_MS);
      return spawner;
    } catch (error) {
      spawner.#helper.kill();
      throw error;
    }
  }

  get isUsable(): boolean {
    return !this.#helper.isLost;
  }

  /** As the host sees it. */
  get hostPid(): number {
    // After its end the host may give its pid to another process.
    return this.#inside?.isAlive ? this.#inside.pid : 0;
  }

  /** Commands that have not ended. */
  get busy(): number {
    return this.#commands.size;
  }

  start(request: ProgramRequest): Promise<StartedCommand> {
    return this.#starting.run(() => this.#start(request));
  }

  async #start(request: ProgramRequest): Promise<StartedCommand> {
    if (this.#helper.isLost) throw this.#loss();
    const { command, args, cwd, stdin, env } = request;
    const spawned = new SpawnedCommand(++this.#lastId, this.#entry.tags.acquire(), request);
    this.#commands.set(spawned.id, spawned);
    this.#waker ??= setInterval(() => this.#helper.wake(), IDLE_WAKE_MS).unref();
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    const fields = [spawned.tag, stdin ? 1 : 0, cwd, args.length + 1, command, ...args, ...variables];
    this.#helper.send("s", spawned.id, encodeFields(...fields));
    return this.#started(spawned, await this.#answer(spawned.running.promise, ANSWER_TIMEOUT_MS));
  }

  #started(spawned: SpawnedCommand, pipes: CommandPipes): StartedCommand {
    const treeOf = (process: Child | undefined): number[] => {
      const { ending, initPid } = this.#entry;
      // After the VM's end the host may give init's pid to another process.
      if (ending.aborted || !spawned.ownsTag()) return [];
      return taggedTree(process, [...this.#helper.children, initPid], spawned.tag);
    };
    return {
      pid: spawned.pid,
      ...pipes,
      ended: spawned.ended.promise,
      signal: (signal) => {
        if (!this.#runs(spawned)) return;
        this.#helper.wake();
        this.#helper.send("k", spawned.id, encodeNumber(signal));
        if (signal === constants.signals.SIGKILL) void this.#untilReported(spawned);
      },
      hostPid: () => this.#processOf(spawned)?.hostPid,
      tree: () => treeOf(this.#processOf(spawned)),
      killTree: async () => {
        const process = this.#processOf(spawned);
        await killAll(() => treeOf(this.#runs(spawned) ? process : undefined));
        await this.#untilReported(spawned);
      },
    };
  }

  #runs(spawned: SpawnedCommand): boolean {
    return this.#commands.get(spawned.id) === spawned;
  }

  /** The command may have taken its tag off, and all that it has started with it. */
  #processOf(spawned: SpawnedCommand): Child | undefined {
    return this.#runs(spawned) ? childrenByInnerPid(this.#helper.children).get(spawned.pid) : undefined;
  }

  /** The spawner has to report the end of a command that was killed. */
  async #untilReported(spawned: SpawnedCommand): Promise<void> {
    if (this.#runs(spawned)) await this.#answer(spawned.ended.promise, EXIT_TIMEOUT_MS);
  }

  /** Waits for a report of the spawner, and kills the spawner if the report does not come. */
  async #answer<Answer>(promise: Promise<Answer>, timeoutMs: number): Promise<Answer> {
    const deadline = setTimeout(() => this.#helper.kill(), timeoutMs);
    const waker = setInterval(() => this.#helper.wake(), WAKE_MS);
    try {
      return await promise;
    } finally {
      clearTimeout(deadline);
      clearInterval(waker);
    }
  }

  /** Ends the spawner, and with it all its commands. */
  async close(): Promise<void> {
    this.#helper.kill();
    await this.ended;
  }

  #onFrame(frame: Frame): void {
    const message = messageIn(frame);
    if (message.what === "ready") {
      if (this.#inside !== undefined) throw new Error("the spawner was ready before");
      this.#inside = this.#helper.inside();
      if (this.#inside === undefined) throw this.#loss();
      this.#ready.resolve();
      return;
    }
    const spawned = this.#commands.get(message.id);
    if (spawned === undefined || this.#inside === undefined)
      throw new Error("the spawner has no such command");
    spawned.onMessage(message, this.#inside);
    // The command ends with the spawner, and so do its reports. The server still reads reports about other commands.
    if (spawned.isLost) return void this.#helper.kill();
    // The spawner holds the pipes also of a command that has not started.
    if (message.what === "started" || (message.what === "exited" && spawned.pid === 0))
      this.#helper.send("c", spawned.id);
    if (message.what === "refused" || message.what === "exited") this.#forget(spawned);
  }

  #forget(spawned: SpawnedCommand): void {
    this.#commands.delete(spawned.id);
    spawned.ownsTag = this.#entry.tags.release(spawned.tag);
    if (this.#commands.size > 0) return;
    clearInterval(this.#waker);
    this.#waker = undefined;
  }

  #loss(): Error {
    return refusalIn(this.#helper.errors) ?? this.#helper.loss;
  }

  /** Nobody but the spawner learns how its commands end, so they end with it. */
  #lose(): void {
    const loss = this.#loss();
    this.#ready.reject(loss);
    this.#inside?.close();
    const { initPid } = this.#entry;
    // The kernel has made them init's.
    const orphans = this.#commands.size === 0 ? undefined : childrenByInnerPid([initPid]);
    for (const spawned of [...this.#commands.values()]) {
      this.#forget(spawned);
      spawned.abandon(loss);
      const usage = { cpuMs: 0, maxRssBytes: 0 };
      void killAll(() => taggedTree(orphans?.get(spawned.pid), [initPid], spawned.tag)).then(() =>
        spawned.ended.resolve({ code: null, signal: "SIGKILL", usage }),
      );
    }
  }
}
