import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import type { SpawnRequest } from "../../sandbox.ts";
import { sealedStdio } from "../descriptors.ts";
import { childrenOf } from "../procfs.ts";
import type { Tags } from "../tag.ts";
import { SYSTEM_PATH } from "../tools.ts";
import { killAll, sendSignal, taggedTree } from "../tree.ts";
import type { SyscallNumbers } from "./arch.ts";
import { type CommandEnd, CwdError, type Entry, type StartedCommand, StarterLost } from "./command.ts";
import { enterArguments } from "./enter.ts";
import { type CommandPipes, openPipes } from "./pipes.ts";
import { refusal } from "./refusal.ts";
import { Semaphore } from "./semaphore.ts";
import { encodeRequest, MessageParser, type SpawnerMessage } from "./spawner-messages.ts";
import { withStdio } from "./stdio.ts";
import { parseWaitStatus } from "./wait-status.ts";

const PROGRAM = readFileSync(new URL("./spawner.pl", import.meta.url), "utf8");

/** A spawner that says nothing for this long has been stopped. */
const READY_TIMEOUT_MS = 30_000;

/** A spawner that does not start a command within this time has been stopped. */
const START_TIMEOUT_MS = 30_000;

/** Commands on their way at the same time; more would only meet the VM's process limit that they leave at once. */
const MAX_STARTING = 16;

/** A command on its way, or running. */
interface Job {
  tag: number;
  cwd: string;
  pid: number;
  pipes: CommandPipes | undefined;
  /** The child has said that it is about to become the command. Its parent may say later that it has started it. */
  isRunning: boolean;
  running: PromiseWithResolvers<CommandPipes>;
  ended: PromiseWithResolvers<CommandEnd>;
}

/**
 * A small process inside the VM that forks its commands. Entering the VM anew for each costs the server a fork of its
 * own large self and three more programs, 4 ms and more, half of it with the event loop stopped; the spawner forks in a
 * tenth of that, and as the commands' parent it knows how they ended and what they used from wait4(2) itself.
 */
export class Spawner {
  readonly ended: Promise<void>;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #initPid: number;
  readonly #tags: Tags;
  readonly #jobs = new Map<number, Job>();
  readonly #starting = new Semaphore(MAX_STARTING);
  readonly #ready = Promise.withResolvers<void>();
  #hostPid = 0;
  #lastId = 0;
  #lost = false;

  private constructor(entry: Entry, numbers: SyscallNumbers, perl: string) {
    const { tools, initPid, owner, openFiles, tags } = entry;
    this.#initPid = initPid;
    this.#tags = tags;
    const limits = [tools.prlimit, `--nofile=${openFiles}`, "--core=0", "--"];
    const { setsid, wait4, prctl, rt_sigprocmask, signalfd4, prlimit64 } = numbers;
    const hide = owner === null ? 0 : 1;
    const numbersInOrder = [
      ...[hide, entry.processes],
      ...[setsid, wait4, prctl, rt_sigprocmask, signalfd4, prlimit64],
    ];
    const program = [perl, "-e", PROGRAM, ...numbersInOrder.map(String)];
    const child = spawn(tools.nsenter, [...enterArguments(initPid, tools), ...limits, ...program], {
      stdio: sealedStdio(["pipe", "pipe", "pipe"]),
      cwd: "/",
      env: { PATH: SYSTEM_PATH },
      detached: true,
      ...(owner === null ? {} : owner),
    });
    this.#process = withStdio(child);
    const parser = new MessageParser();
    this.#process.stdout.on("data", (data: Buffer) => {
      try {
        for (const message of parser.push(data)) this.#hear(message);
      } catch {
        // A process of the VM speaks in its place.
        this.#kill();
      }
    });
    this.#process.stdin.on("error", () => this.#kill());
    this.#process.stderr.resume();
    this.ended = new Promise((resolve) => {
      const end = () => {
        this.#lose();
        resolve();
      };
      this.#process.once("exit", end);
      this.#process.once("error", end);
    });
  }

  static async start(entry: Entry, numbers: SyscallNumbers, perl: string): Promise<Spawner> {
    const spawner = new Spawner(entry, numbers, perl);
    const timer = setTimeout(() => spawner.#kill(), READY_TIMEOUT_MS);
    try {
      await spawner.#ready.promise;
      await entry.confine(spawner.#hostPid);
      return spawner;
    } catch (error) {
      spawner.#kill();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  get isUsable(): boolean {
    return !this.#lost;
  }

  /** As the host sees it. */
  get hostPid(): number {
    return this.#hostPid;
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
    if (this.#lost) throw new StarterLost("the spawner has ended");
    const id = ++this.#lastId;
    const job: Job = {
      tag: this.#tags.acquire(),
      cwd: request.cwd,
      pid: 0,
      pipes: undefined,
      isRunning: false,
      running: Promise.withResolvers(),
      ended: Promise.withResolvers(),
    };
    this.#jobs.set(id, job);
    // Nobody need wait for either: a command that could not start has no end to tell.
    job.ended.promise.catch(() => undefined);
    const { command, args, cwd, stdin } = request;
    const env = Object.entries(request.env).map(([name, value]) => `${name}=${value}`);
    const fields = [id, job.tag, stdin ? 1 : 0, cwd, args.length + 1, command, ...args, ...env];
    this.#process.stdin.write(encodeRequest("start", ...fields));
    const timer = setTimeout(() => this.#kill(), START_TIMEOUT_MS);
    try {
      const pipes = await job.running.promise;
      return this.#command(id, job, pipes);
    } catch (error) {
      this.#forget(id, job);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #command(id: number, job: Job, pipes: CommandPipes): StartedCommand {
    return {
      pid: job.pid,
      ...pipes,
      ended: job.ended.promise,
      signal: (signal) => {
        if (this.#jobs.get(id) !== job) return;
        // A process of the VM may have stopped it.
        sendSignal(this.#hostPid, "SIGCONT");
        this.#process.stdin.write(encodeRequest("signal", id, signal));
      },
      killTree: () => killAll(() => taggedTree([this.#hostPid, this.#initPid], job.tag)),
      release: () => undefined,
    };
  }

  /** Ends the spawner; whatever it has started goes on with the VM, and nobody learns how it ends. */
  async close(): Promise<void> {
    this.#kill();
    await this.ended;
  }

  #hear(message: SpawnerMessage): void {
    if (message.what === "ready") {
      this.#hostPid = childrenOf(this.#process.pid ?? 0)[0] ?? 0;
      this.#ready.resolve();
      return;
    }
    const job = this.#jobs.get(message.id);
    if (message.what === "started") {
      if (job !== undefined) {
        job.pid = message.pid;
        job.pipes = this.#openPipes(message);
      }
      this.#process.stdin.write(encodeRequest("close", message.id));
    }
    if (job === undefined) return;
    if (message.what === "refused") job.running.reject(refusal(message.errno));
    if (message.what === "failed") job.running.reject(new CwdError(job.cwd));
    if (message.what === "running") job.isRunning = true;
    if (job.isRunning && job.pipes !== undefined) job.running.resolve(job.pipes);
    if (message.what === "exited") this.#end(message, job);
  }

  #openPipes({ stdinFd, stdoutFd, stderrFd }: Extract<SpawnerMessage, { what: "started" }>): CommandPipes {
    return openPipes(this.#hostPid, stdinFd, stdoutFd, stderrFd);
  }

  #end(message: Extract<SpawnerMessage, { what: "exited" }>, job: Job): void {
    this.#jobs.delete(message.id);
    this.#tags.release(job.tag);
    const usage = {
      cpuMs: (message.userUs + message.systemUs) / 1000,
      maxRssBytes: message.maxRssKib * 1024,
    };
    job.ended.resolve({ ...parseWaitStatus(message.status), usage });
    // The child says why it could not run before it ends; one that was killed before it could say anything did not run.
    job.running.reject(new StarterLost("the command was killed before it ran"));
  }

  #forget(id: number, job: Job): void {
    if (this.#jobs.delete(id)) this.#tags.release(job.tag);
    job.pipes?.stdin.close();
    job.pipes?.stdout.close();
    job.pipes?.stderr.close();
  }

  #kill(): void {
    if (this.#hostPid !== 0 && !this.#lost) sendSignal(this.#hostPid, "SIGKILL");
    this.#process.kill("SIGKILL");
  }

  /** With the spawner goes the knowledge of how its commands end: they end with it. */
  #lose(): void {
    this.#lost = true;
    this.#ready.reject(new StarterLost("the spawner has ended"));
    this.#process.stdin.destroy();
    this.#process.stdout.destroy();
    this.#process.stderr.destroy();
    for (const [id, job] of this.#jobs) {
      this.#jobs.delete(id);
      this.#tags.release(job.tag);
      job.running.reject(new StarterLost("the spawner has ended"));
      const usage = { cpuMs: 0, maxRssBytes: 0 };
      void killAll(() => taggedTree([this.#initPid], job.tag)).then(() =>
        job.ended.resolve({ code: null, signal: "SIGKILL", usage }),
      );
    }
  }
}
