import { HelperLost } from "../helpers/helper-process.ts";
import { refusal } from "../helpers/refusal.ts";
import { parseWaitStatus } from "../helpers/wait-status.ts";
import type { CommandEnd } from "./command.ts";
import { type CommandPipes, openPipes } from "./pipes.ts";
import type { CommandMessage } from "./spawner-messages.ts";
import { CwdError } from "./start-errors.ts";

/** A command that a spawner starts or runs, and the reports about it. */
export class SpawnedCommand {
  readonly id: number;
  readonly tag: number;
  /** As the VM sees it; 0 until it has been started. */
  pid = 0;
  /** Whether no other command can have its tag. */
  ownsTag: () => boolean = () => true;
  readonly running = Promise.withResolvers<CommandPipes>();
  readonly ended = Promise.withResolvers<CommandEnd>();
  readonly #cwd: string;
  readonly #reported = new Set<CommandMessage["what"]>();
  #pipes: CommandPipes | undefined;

  constructor(id: number, tag: number, cwd: string) {
    this.id = id;
    this.tag = tag;
    this.#cwd = cwd;
    // Nobody need wait for either: a command that could not start has no end to tell.
    this.running.promise.catch(() => undefined);
    this.ended.promise.catch(() => undefined);
  }

  /**
   * Takes in a report of the spawner.
   *
   * @param spawner its folder in /proc
   * @throws Error for a report that cannot be true
   */
  onMessage(message: CommandMessage, spawner: string): void {
    if (!this.#mayCome(message.what)) throw new Error(`the spawner reported "${message.what}" out of turn`);
    this.#reported.add(message.what);
    switch (message.what) {
      case "started":
        this.pid = message.pid;
        if (!this.#reported.has("failed"))
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
    if (this.#reported.has("running") && this.#pipes !== undefined) this.running.resolve(this.#pipes);
  }

  /** Each thing once, in an order that a spawner can have. */
  #mayCome(what: CommandMessage["what"]): boolean {
    const reported = this.#reported;
    if (reported.has(what) || reported.has("refused") || reported.has("exited")) return false;
    if (what === "refused") return reported.size === 0;
    if (what === "running") return !reported.has("failed");
    if (what === "failed") return !reported.has("running");
    return what === "started" || reported.has("started");
  }

  #end({ status, userUs, systemUs, maxRssKib }: Extract<CommandMessage, { what: "exited" }>): void {
    const usage = { cpuMs: (userUs + systemUs) / 1000, maxRssBytes: maxRssKib * 1024 };
    this.ended.resolve({ ...parseWaitStatus(status), usage });
    // A child that cannot run reports the reason before it ends. A child that reported nothing was killed before it ran.
    if (!this.#reported.has("running")) this.abandon(new HelperLost("the command was killed before it ran"));
  }

  /** The command does not run, and will not. Nothing to a command that does. */
  abandon(error: Error): void {
    this.running.reject(error);
    if (this.#reported.has("running")) return;
    this.#pipes?.stdin.close();
    this.#pipes?.stdout.close();
    this.#pipes?.stderr.close();
  }
}
