import { vmStopped } from "../../../../api/errors.ts";
import type { SpawnRequest } from "../../sandbox.ts";
import type { SyscallNumbers } from "./arch.ts";
import { type CommandStarter, type Entry, type StartedCommand, StarterLost } from "./command.ts";
import { Spawner } from "./spawner.ts";

/** A VM that runs nothing for this long gives its spawner back. */
const IDLE_MS = 30_000;

/** A process of the VM may kill the spawner; a command that has not begun is started again. */
const MAX_TRIES = 4;

/** Starts commands through a spawner, which comes with the first of them and goes when the VM is idle. */
export class SpawnerStarter implements CommandStarter {
  readonly #entry: Entry;
  readonly #numbers: SyscallNumbers;
  readonly #perl: string;
  #spawner: Promise<Spawner> | undefined;
  hostPids: readonly number[] = [];
  #idle: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(entry: Entry, numbers: SyscallNumbers, perl: string) {
    this.#entry = entry;
    this.#numbers = numbers;
    this.#perl = perl;
  }

  async start(request: SpawnRequest): Promise<StartedCommand> {
    clearTimeout(this.#idle);
    for (let tries = 1; ; tries++) {
      if (this.#closed) throw vmStopped();
      try {
        return await this.#startWith(await this.#current(), request);
      } catch (error) {
        if (this.#closed) throw vmStopped();
        if (!(error instanceof StarterLost) || tries === MAX_TRIES) throw error;
      }
    }
  }

  async #startWith(spawner: Spawner, request: SpawnRequest): Promise<StartedCommand> {
    try {
      const command = await spawner.start(request);
      void command.ended.then(() => this.#rest(spawner));
      return command;
    } catch (error) {
      this.#rest(spawner);
      throw error;
    }
  }

  #current(): Promise<Spawner> {
    if (this.#spawner === undefined) {
      const started = Spawner.start(this.#entry, this.#numbers, this.#perl);
      const forget = () => {
        if (this.#spawner !== started) return;
        this.#spawner = undefined;
        this.hostPids = [];
      };
      started.then((spawner) => {
        this.hostPids = [spawner.hostPid];
        return spawner.ended.then(forget);
      }, forget);
      this.#spawner = started;
    }
    return this.#spawner;
  }

  #rest(spawner: Spawner): void {
    if (this.#closed) return;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      if (spawner.busy > 0) return;
      void spawner.close();
    }, IDLE_MS).unref();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idle);
    const spawner = await this.#spawner?.catch(() => undefined);
    await spawner?.close();
  }
}
