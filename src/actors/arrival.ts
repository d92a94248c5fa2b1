import { AgentVmError } from "../api/errors.ts";
import { receiveFork } from "../runtime/persistence/fork.ts";
import type { Store } from "../runtime/store/store.ts";
import { forkError, isOver } from "./fork-error.ts";
import { FORK_ACTIONS, type ForkActor, type ForkPiece, type PeerParams, peersOf } from "./fork-peers.ts";
import type { ForkTicket } from "./fork-ticket.ts";

/** The part of a new VM that a copy fills. */
interface ArrivalDeps {
  store: Store;
  /** Parameters of connections to the other VM. */
  peer: PeerParams;
  /** Stores the encrypted secrets of the other VM. */
  takeSecrets(ticket: string, sealed: string): Promise<void>;
}

/** Copy of another VM's files and secrets into a new VM. */
export class Arrival {
  readonly #actor: ForkActor;
  readonly #deps: ArrivalDeps;
  #taking: Promise<void> | undefined;

  constructor(actor: ForkActor, deps: ArrivalDeps) {
    this.#actor = actor;
    this.#deps = deps;
  }

  /** `true` until the old VM has been told that everything has arrived. */
  get isPending(): boolean {
    return this.#actor.state?.fork !== undefined;
  }

  /** Copies files and secrets once, for any number of callers. Does nothing if the VM is not a fork or has its files. */
  take(): Promise<void> {
    const ticket = this.#actor.state?.fork;
    if (ticket === undefined) return this.#taking ?? Promise.resolve();
    this.#taking ??= this.#take(ticket).finally(() => {
      this.#taking = undefined;
    });
    return this.#taking;
  }

  /** Notes that everything has arrived. */
  end(): void {
    delete this.#actor.state?.fork;
  }

  /**
   * Copies the files before a boot. A VM whose source offers them no more was cut off in the middle of its fork. It destroys itself, and its
   * key is free again.
   *
   * @throws AgentVmError `vm_destroyed`, or the error of the copy
   */
  async ready(): Promise<void> {
    try {
      await this.take();
    } catch (error) {
      if (!isOver(error)) throw forkError(error);
      this.#actor.destroy();
      throw new AgentVmError(
        "vm_destroyed",
        "The fork that made this VM was cut off before the files had arrived",
      );
    }
  }

  async #take({ actorId, ticket }: ForkTicket): Promise<void> {
    const { store, peer, takeSecrets } = this.#deps;
    const source = peersOf(this.#actor).getForId(actorId, { params: peer });
    await receiveFork(store, async (from) => {
      const piece = await source.action({ name: FORK_ACTIONS.read, args: [ticket, from] });
      const { secrets, ...records } = piece as ForkPiece;
      // The head, which is stored next, makes the VM whole.
      if (secrets !== undefined) await takeSecrets(ticket, secrets);
      return records;
    });
  }
}
