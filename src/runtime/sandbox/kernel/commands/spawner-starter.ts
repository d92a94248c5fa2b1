import type { HelperBody } from "../helpers/helper-process.ts";
import { OnDemand } from "../helpers/on-demand.ts";
import type { Entry, ProgramRequest, StartedCommand } from "./command.ts";
import { Spawner } from "./spawner.ts";

/** A process of the VM may kill the spawner; a command that has not begun is started again. */
const MAX_TRIES = 4;

/** Starts commands through a spawner, which comes with the boot and goes when the VM is idle. */
export class SpawnerStarter {
  readonly #spawners: OnDemand<Spawner>;

  /** Resolves once the boot's spawner takes commands, or has ended. */
  readonly booted: Promise<void>;

  /** @param booted process of the spawner that a boot has started */
  constructor(entry: Entry, booted: HelperBody | undefined) {
    const start = () => Spawner.start(entry);
    const first = booted && Spawner.start(entry, booted);
    this.#spawners = new OnDemand(start, MAX_TRIES, first);
    const settled = () => undefined;
    this.booted = first === undefined ? Promise.resolve() : first.then(settled, settled);
  }

  /** Host pids of processes whose children commands are. */
  get hostPids(): readonly number[] {
    const spawner = this.#spawners.running;
    return spawner === undefined ? [] : [spawner.hostPid];
  }

  /** Resolves when the command is about to run; rejects with a CwdError if it could not change to its directory. */
  async start(request: ProgramRequest): Promise<StartedCommand> {
    const command = await this.#spawners.use((spawner) => spawner.start(request));
    void command.ended.then(() => this.#spawners.rest());
    return command;
  }

  /** Starts the spawner ahead of the first command. @returns a function to call when commands may come */
  async warm(): Promise<() => void> {
    await this.#spawners.warm();
    return () => this.#spawners.rest();
  }

  close(): Promise<void> {
    return this.#spawners.close();
  }
}
