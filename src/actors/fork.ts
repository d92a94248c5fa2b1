import { randomBytes } from "node:crypto";
import { AgentVmError, actionNotFound } from "../api/errors.ts";
import type { ForkedVm } from "../api/types.ts";
import { type ForkRecords, type ForkSource, receiveFork } from "../runtime/persistence/fork.ts";
import type { Store } from "../runtime/store.ts";
import type { VmContext, VmState } from "./context.ts";
import { toUserError, userError } from "./errors.ts";
import type { ForkTicket } from "./fork-ticket.ts";

/**
 * A fork goes from actor to actor. The old VM makes the new one, and gives it a ticket with its creation; the new one
 * asks the old one for what lies in its storage, under that ticket. A ticket is unguessable, known to the two of them,
 * and worth nothing once the fork has ended: whoever makes up one gets an empty VM. Neither action is part of the API:
 * a client is told that there is none.
 */
export const FORK_ACTIONS = { read: "readFork", take: "takeFork" } as const;

const TICKET_BYTES = 32;

/** An actor of this server, as far as it is used here. */
interface Peer {
  resolve(): Promise<string>;
  action(request: { name: string; args: unknown[] }): Promise<unknown>;
}

interface Peers {
  create(key: string[], options: { input: unknown }): Promise<Peer>;
  getForId(actorId: string): Peer;
}

/** What is used of an actor. */
export interface ForkActor {
  readonly name: string;
  readonly state: VmState | undefined;
  client(): unknown;
}

const peersOf = (actor: Pick<ForkActor, "name" | "client">): Peers =>
  (actor.client() as Record<string, Peers>)[actor.name]!;

/** Forks of one awake VM that are being read. */
export class Forks {
  readonly #open = new Map<string, ForkSource>();

  async read(ticket: string, from: number): Promise<ForkRecords> {
    const source = this.#open.get(ticket);
    if (source === undefined) throw actionNotFound(FORK_ACTIONS.read);
    return await source.read(from);
  }

  /** Lets a source be read while work goes on. */
  async during<Result>(source: ForkSource, work: (ticket: string) => Promise<Result>): Promise<Result> {
    const ticket = randomBytes(TICKET_BYTES).toString("hex");
    this.#open.set(ticket, source);
    try {
      return await work(ticket);
    } finally {
      this.#open.delete(ticket);
    }
  }
}

/** A new VM's files on their way from another one. */
export class Arrival {
  readonly #actor: ForkActor;
  readonly #store: Store;
  #taking: Promise<void> | undefined;

  constructor(actor: ForkActor, store: Store) {
    this.#actor = actor;
    this.#store = store;
  }

  /** Whether there are files to wait for. */
  get isPending(): boolean {
    return this.#actor.state?.fork !== undefined;
  }

  /** Takes the files once, however many ask; does nothing where there are none to wait for. */
  take(): Promise<void> {
    const ticket = this.#actor.state?.fork;
    if (ticket === undefined) return this.#taking ?? Promise.resolve();
    this.#taking ??= this.#take(ticket).finally(() => {
      this.#taking = undefined;
    });
    return this.#taking;
  }

  /** For a boot, which goes on without files that nobody has any more: the fork's caller was told that it failed. */
  async settled(): Promise<void> {
    try {
      await this.take();
    } catch {
      this.#forget();
    }
  }

  async #take({ actorId, ticket }: ForkTicket): Promise<void> {
    const source = peersOf(this.#actor).getForId(actorId);
    await receiveFork(this.#store, async (from) => {
      const records = await source.action({ name: FORK_ACTIONS.read, args: [ticket, from] });
      return records as ForkRecords;
    });
    this.#forget();
  }

  #forget(): void {
    delete this.#actor.state?.fork;
  }
}

/** Makes a new VM with the files that this one has now. */
export async function fork(c: VmContext, newKey: string | string[]): Promise<ForkedVm> {
  const { instance } = c.vars;
  const key = [newKey].flat();
  return await instance.vm.withForkSource((source) =>
    instance.forks.during(source, async (ticket) => {
      const made = await create(peersOf(c), key, { actorId: c.actorId, ticket });
      // Destroys itself where it fails: a key that is told to be free must be.
      await made.action({ name: FORK_ACTIONS.take, args: [] });
      return { key, actorId: await made.resolve() };
    }),
  );
}

async function create(peers: Peers, key: string[], ticket: ForkTicket): Promise<Peer> {
  try {
    return await peers.create(key, { input: { fork: ticket } });
  } catch (error) {
    if ((error as { code?: unknown }).code !== "duplicate_key") throw error;
    throw new AgentVmError("duplicate_key", `A VM has the key ${JSON.stringify(key)} already`, {
      key,
      hint: "fork makes a new VM: pass a key that none has.",
    });
  }
}

/** Answers a new VM that fetches its files. */
export async function readFork(c: VmContext, ticket: unknown, from: unknown): Promise<ForkRecords> {
  if (typeof ticket !== "string" || typeof from !== "number")
    throw userError(actionNotFound(FORK_ACTIONS.read));
  try {
    return await c.vars.instance.forks.read(ticket, from);
  } catch (error) {
    throw toUserError(error, c.log, FORK_ACTIONS.read);
  }
}

/** Answers the old VM when the new one has all files. */
export async function takeFork(c: VmContext): Promise<null> {
  const { arrival } = c.vars.instance;
  if (!arrival.isPending) throw userError(actionNotFound(FORK_ACTIONS.take));
  try {
    await arrival.take();
    return null;
  } catch (error) {
    c.destroy();
    throw toUserError(error, c.log, FORK_ACTIONS.take);
  }
}
