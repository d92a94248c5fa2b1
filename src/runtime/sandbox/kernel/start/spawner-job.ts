import { type CommandEnd, CwdError, StarterLost } from "./command.ts";
import { type CommandPipes, openPipes } from "./pipes.ts";
import { refusal } from "./refusal.ts";
import type { JobMessage } from "./spawner-messages.ts";
import { parseWaitStatus } from "./wait-status.ts";

/** A command of a spawner's, on its way or running, and what has been said about it. */
export class Job {
  readonly id: number;
  readonly tag: number;
  /** As the VM sees it; 0 until it has been started. */
  pid = 0;
  readonly running = Promise.withResolvers<CommandPipes>();
  readonly ended = Promise.withResolvers<CommandEnd>();
  readonly #cwd: string;
  readonly #heard = new Set<JobMessage["what"]>();
  #pipes: CommandPipes | undefined;

  constructor(id: number, tag: number, cwd: string) {
    this.id = id;
    this.tag = tag;
    this.#cwd = cwd;
    // Nobody need wait for either: a command that could not start has no end to tell.
    this.running.promise.catch(() => undefined);
    this.ended.promise.catch(() => undefined);
  }

  /** Takes in what the spawner says; throws where it cannot be so. `spawner` is its folder in /proc. */
  hear(message: JobMessage, spawner: string): void {
    if (!this.#mayCome(message.what)) throw new Error(`the spawner says "${message.what}" out of turn`);
    this.#heard.add(message.what);
    switch (message.what) {
      case "started":
        this.pid = message.pid;
        if (!this.#heard.has("failed"))
          this.#pipes = openPipes(spawner, message.stdinFd, message.stdoutFd, message.stderrFd);
        break;
      case "refused":
        this.abandon(refusal(message.errno));
        break;
      case "failed":
        this.abandon(new CwdError(this.#cwd));
        break;
      case "exited":
        this.#end(message);
        break;
    }
    // The child says that it runs, its parent that it has started it; either may come first.
    if (this.#heard.has("running") && this.#pipes !== undefined) this.running.resolve(this.#pipes);
  }

  /** Each thing once, in an order that a spawner can have. */
  #mayCome(what: JobMessage["what"]): boolean {
    const heard = this.#heard;
    if (heard.has(what) || heard.has("refused") || heard.has("exited")) return false;
    if (what === "refused") return heard.size === 0;
    if (what === "running") return !heard.has("failed");
    if (what === "failed") return !heard.has("running");
    return what === "started" || heard.has("started");
  }

  #end({ status, userUs, systemUs, maxRssKib }: Extract<JobMessage, { what: "exited" }>): void {
    const usage = { cpuMs: (userUs + systemUs) / 1000, maxRssBytes: maxRssKib * 1024 };
    this.ended.resolve({ ...parseWaitStatus(status), usage });
    // The child says why it could not run before it ends; one that was killed before it could say anything did not run.
    if (!this.#heard.has("running")) this.abandon(new StarterLost("the command was killed before it ran"));
  }

  /** The command does not run, and will not. Nothing to a command that does. */
  abandon(error: Error): void {
    this.running.reject(error);
    if (this.#heard.has("running")) return;
    this.#pipes?.stdin.close();
    this.#pipes?.stdout.close();
    this.#pipes?.stderr.close();
  }
}
