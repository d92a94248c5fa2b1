import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import type { SpawnRequest } from "../../sandbox.ts";
import { sealedStdio } from "../descriptors.ts";
import { HeldProcess } from "../held-process.ts";
import { childrenOf } from "../procfs.ts";
import { SYSTEM_PATH } from "../tools.ts";
import { type Child, childrenByInnerPid, killAll, sendSignal, taggedTree } from "../tree.ts";
import type { SyscallNumbers } from "./arch.ts";
import { type Entry, type StartedCommand, StarterLost } from "./command.ts";
import { enterByPerl } from "./enter.ts";
import { Excerpt } from "./excerpt.ts";
import type { CommandPipes } from "./pipes.ts";
import { refusalIn } from "./refusal.ts";
import { Semaphore } from "./semaphore.ts";
import { Job } from "./spawner-job.ts";
import { encodeRequest, MessageParser, type SpawnerMessage } from "./spawner-messages.ts";
import { withStdio } from "./stdio.ts";

const PROGRAM = readFileSync(new URL("./spawner.pl", import.meta.url), "utf8");

/** A spawner that is not ready, or has not started a command, within this time never will. */
const ANSWER_TIMEOUT_MS = 30_000;

/** A spawner that does not say within this time that a command has ended which was killed keeps it to itself. */
const EXIT_TIMEOUT_MS = 10_000;

/** A process of the VM may stop the spawner: as long as it owes an answer, it is woken this often. */
const WAKE_MS = 100;

/** One that has commands owes their ends, at any time: it is woken this often. */
const IDLE_WAKE_MS = 1000;

/** Requests that a spawner has not read; one that lets more pile up does not read at all. */
const MAX_UNREAD_BYTES = 32 * 1024 * 1024;

/** Commands on their way at the same time; more would only meet the VM's process limit that they leave at once. */
const MAX_STARTING = 16;

/**
 * A small process inside the VM that forks its commands. Entering the VM anew for each costs the server a fork of its
 * own large self and three more programs, 4 ms and more, half of it with the event loop stopped; the spawner forks in a
 * tenth of that, and as the commands' parent it knows how they ended and what they used from wait4(2) itself.
 *
 * It runs as what it starts does, so a hostile VM may stop it, kill it or speak in its place. What it says can only be
 * about its own commands, each thing once; whatever else comes is its end.
 */
export class Spawner {
  readonly ended: Promise<void>;
  readonly #entry: Entry;
  /** Outside, where it waits for the spawner, its only child. */
  readonly #outside: ChildProcessWithoutNullStreams;
  readonly #jobs = new Map<number, Job>();
  readonly #starting = new Semaphore(MAX_STARTING);
  readonly #ready = Promise.withResolvers<void>();
  readonly #errors: Excerpt;
  #inside: HeldProcess | undefined;
  #waker: NodeJS.Timeout | undefined;
  #lastId = 0;
  #lost = false;

  private constructor(entry: Entry, outside: ChildProcessWithoutNullStreams) {
    this.#entry = entry;
    this.#outside = outside;
    this.#ready.promise.catch(() => undefined);
    const parser = new MessageParser();
    outside.stdout.on("data", (data: Buffer) => {
      try {
        for (const message of parser.push(data)) this.#hear(message);
      } catch {
        // A process of the VM speaks in its place.
        outside.stdout.destroy();
        this.#kill();
      }
    });
    outside.stdin.on("error", () => this.#kill());
    // A signal that could not be sent; its end tells all.
    outside.on("error", () => undefined);
    this.#errors = new Excerpt(outside.stderr);
    this.ended = new Promise((resolve) => {
      outside.once("exit", () => {
        this.#lose();
        resolve();
      });
    });
  }

  static async start(entry: Entry, numbers: SyscallNumbers, perl: string): Promise<Spawner> {
    const { setsid, wait4, prctl, rt_sigprocmask, signalfd4, prlimit64 } = numbers;
    const settings = [
      ...[entry.owner === null ? 0 : 1, entry.processes],
      ...[setsid, wait4, prctl, rt_sigprocmask, signalfd4, prlimit64],
    ];
    const program = [perl, "-e", PROGRAM, ...settings.map(String)];
    const [file, ...args] = enterByPerl(entry, numbers, perl, program);
    const child = spawn(file, args, {
      stdio: sealedStdio(["pipe", "pipe", "pipe"]),
      cwd: "/",
      // Nothing of the caller's environment: the entry runs on the host.
      env: { PATH: SYSTEM_PATH },
      detached: true,
    });
    const outside = withStdio(child);
    if (child.pid === undefined) throw new StarterLost(String((await once(child, "error"))[0]));
    const spawner = new Spawner(entry, outside);
    try {
      await spawner.#answer(spawner.#ready.promise, ANSWER_TIMEOUT_MS);
      return spawner;
    } catch (error) {
      spawner.#kill();
      throw error;
    }
  }

  get isUsable(): boolean {
    return !this.#lost;
  }

  /** As the host sees it. */
  get hostPid(): number {
    return this.#inside?.pid ?? 0;
  }

  /** Commands that have not ended. */
  get busy(): number {
    return this.#jobs.size;
  }

  async start(request: SpawnRequest): Promise<StartedCommand> {
    await this.#starting.acquire();
    try {
      return await this.#start(request);
    } finally {
      this.#starting.release();
    }
  }

  async #start(request: SpawnRequest): Promise<StartedCommand> {
    if (this.#lost) throw this.#loss();
    const job = new Job(++this.#lastId, this.#entry.tags.acquire(), request.cwd);
    this.#jobs.set(job.id, job);
    this.#waker ??= setInterval(() => this.#wake(), IDLE_WAKE_MS).unref();
    const { command, args, cwd, stdin } = request;
    const env = Object.entries(request.env).map(([name, value]) => `${name}=${value}`);
    this.#tell("start", job.id, job.tag, stdin ? 1 : 0, cwd, args.length + 1, command, ...args, ...env);
    return this.#command(job, await this.#answer(job.running.promise, ANSWER_TIMEOUT_MS));
  }

  #command(job: Job, pipes: CommandPipes): StartedCommand {
    return {
      pid: job.pid,
      ...pipes,
      ended: job.ended.promise,
      signal: (signal) => {
        if (this.#jobs.get(job.id) !== job) return;
        this.#wake();
        this.#tell("signal", job.id, signal);
        if (signal === constants.signals.SIGKILL) void this.#untilTold(job);
      },
      killTree: async () => {
        const { initPid } = this.#entry;
        const command = this.#processOf(job);
        const roots = () => [...this.#children(), initPid];
        await killAll(() => taggedTree(this.#jobs.has(job.id) ? command : undefined, roots(), job.tag));
        await this.#untilTold(job);
      },
      release: () => undefined,
    };
  }

  /** The command may have taken its tag off, and all that it has started with it. */
  #processOf(job: Job): Child | undefined {
    if (this.#jobs.get(job.id) !== job) return undefined;
    return childrenByInnerPid(this.#children()).get(job.pid);
  }

  /** Once a command has been killed, the spawner has to say so. */
  async #untilTold(job: Job): Promise<void> {
    if (this.#jobs.get(job.id) === job) await this.#answer(job.ended.promise, EXIT_TIMEOUT_MS);
  }

  /** Waits for what the spawner owes, and ends it where it does not come. */
  async #answer<Answer>(promise: Promise<Answer>, timeoutMs: number): Promise<Answer> {
    const deadline = setTimeout(() => this.#kill(), timeoutMs);
    const waker = setInterval(() => this.#wake(), WAKE_MS);
    try {
      return await promise;
    } finally {
      clearTimeout(deadline);
      clearInterval(waker);
    }
  }

  /** Ends the spawner; whatever it has started goes on with the VM, and nobody learns how it ends. */
  async close(): Promise<void> {
    this.#kill();
    await this.ended;
  }

  #tell(...fields: (string | number)[]): void {
    this.#outside.stdin.write(encodeRequest(...fields));
    if (this.#outside.stdin.writableLength > MAX_UNREAD_BYTES) this.#kill();
  }

  #hear(message: SpawnerMessage): void {
    if (message.what === "ready") {
      if (this.#inside !== undefined) throw new Error("the spawner was ready before");
      this.#inside = HeldProcess.childOf(this.#outside.pid as number);
      if (this.#inside === undefined) throw this.#loss();
      this.#ready.resolve();
      return;
    }
    const job = this.#jobs.get(message.id);
    if (job === undefined || this.#inside === undefined) throw new Error("the spawner has no such command");
    job.hear(message, this.#inside.folder);
    if (message.what === "started") this.#tell("close", job.id);
    if (message.what === "refused" || message.what === "exited") this.#forget(job);
  }

  #forget(job: Job): void {
    this.#jobs.delete(job.id);
    this.#entry.tags.release(job.tag);
    if (this.#jobs.size > 0) return;
    clearInterval(this.#waker);
    this.#waker = undefined;
  }

  /** Host pids of the spawner, as the kernel tells them: none once it has gone. */
  #children(): number[] {
    return this.#lost ? [] : childrenOf(this.#outside.pid as number);
  }

  #wake(): void {
    for (const pid of this.#children()) sendSignal(pid, "SIGCONT");
  }

  #kill(): void {
    if (this.#lost) return;
    const children = this.#children();
    // Who waits for it ends by itself, and only then: nobody else would take the end of a child inside.
    for (const pid of children) sendSignal(pid, "SIGKILL");
    if (children.length === 0) this.#outside.kill("SIGKILL");
  }

  #loss(): Error {
    const detail = this.#errors.text.trim();
    return refusalIn(detail) ?? new StarterLost(`the spawner has ended${detail === "" ? "" : `: ${detail}`}`);
  }

  /** With the spawner goes the knowledge of how its commands end: they end with it. */
  #lose(): void {
    this.#lost = true;
    this.#ready.reject(this.#loss());
    this.#outside.stdin.destroy();
    this.#outside.stdout.destroy();
    this.#outside.stderr.destroy();
    this.#inside?.close();
    const { initPid } = this.#entry;
    // The kernel has made them init's.
    const orphans = this.#jobs.size === 0 ? undefined : childrenByInnerPid([initPid]);
    for (const job of [...this.#jobs.values()]) {
      this.#forget(job);
      job.abandon(this.#loss());
      const usage = { cpuMs: 0, maxRssBytes: 0 };
      void killAll(() => taggedTree(orphans?.get(job.pid), [initPid], job.tag)).then(() =>
        job.ended.resolve({ code: null, signal: "SIGKILL", usage }),
      );
    }
  }
}
