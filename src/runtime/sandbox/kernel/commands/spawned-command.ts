import { HelperLost } from "../helpers/helper-process.ts";
import { refusal } from "../helpers/refusal.ts";
import { parseWaitStatus } from "../helpers/wait-status.ts";
import type { HeldProcess } from "../procfs/held-process.ts";
import type { CommandEnd, ProgramRequest } from "./command.ts";
import { type CommandPipes, lostPipes, openPipes } from "./pipes.ts";
import type { CommandMessage } from "./spawner-messages.ts";
import { CwdError } from "./start-errors.ts";

type Started = Extract<CommandMessage, { what: "started" }>;

/** A command that a spawner starts or runs, and the reports about it. */
export class SpawnedCommand {
  readonly id: number;
  readonly tag: number;
  /** As the VM sees it; 0 until it has been started. */
  pid = 0;
  /** Whether no other command can have its tag. */
  ownsTag: () => boolean = () => true;
  /** Whether the server has no pipes of a command that runs. With its output is lost how it ends. */
  isLost = false;
  readonly running = Promise.withResolvers<CommandPipes>();
  readonly ended = Promise.withResolvers<CommandEnd>();
  readonly #cwd: string;
  readonly #hasStdin: boolean;
  #last: CommandMessage["what"] | undefined;

  constructor(id: number, tag: number, { cwd, stdin }: Pick<ProgramRequest, "cwd" | "stdin">) {
    this.id = id;
    this.tag = tag;
    this.#cwd = cwd;
    this.#hasStdin = stdin;
    // Nobody need wait for either: a command that could not start has no end to tell.
    this.running.promise.catch(() => undefined);
    this.ended.promise.catch(() => undefined);
  }

  /**
   * Takes in a report of the spawner.
   *
   * @throws Error for a report that cannot be true
   */
  onMessage(message: CommandMessage, spawner: HeldProcess): void {
    if (!this.#mayCome(message.what)) throw new Error(`the spawner reported "${message.what}" out of turn`);
    this.#last = message.what;
    switch (message.what) {
      case "started":
        this.pid = message.pid;
        this.running.resolve(this.#open(message, spawner));
        break;
      case "refused":
        this.abandon(refusal(message.errno));
        break;
      case "failed":
        this.abandon(new CwdError(this.#cwd));
        break;
      case "exited":
        if (!this.isLost) this.#end(message);
        break;
    }
  }

  /** Each thing once, in an order that a spawner can have. */
  #mayCome(what: CommandMessage["what"]): boolean {
    if (what === "exited") return this.#last !== "exited" && this.#last !== "refused";
    return this.#last === undefined;
  }

  /** The command runs, also if the server cannot open its pipes, for example because the command has killed the spawner. */
  #open({ stdinFd, stdoutFd, stderrFd }: Started, spawner: HeldProcess): CommandPipes {
    try {
      return openPipes(spawner.folder, this.#hasStdin ? stdinFd : undefined, stdoutFd, stderrFd);
    } catch {
      this.isLost = true;
      return lostPipes();
    }
  }

  #end({ status, userUs, systemUs, maxRssKib }: Extract<CommandMessage, { what: "exited" }>): void {
    const usage = { cpuMs: (userUs + systemUs) / 1000, maxRssBytes: maxRssKib * 1024 };
    this.ended.resolve({ ...parseWaitStatus(status), usage });
    // A child that cannot run reports the reason before it ends. A child that reported nothing was killed before it ran.
    this.abandon(new HelperLost("the command was killed before it ran"));
  }

  /** The command does not run, and will not. Nothing to a command that does. */
  abandon(error: Error): void {
    this.running.reject(error);
  }
}
