import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { AgentVmError, actionNotFound } from "../api/errors.ts";
import type { VmSecret } from "../api/methods/secrets.ts";
import type { ForkedVm, ForkOptions } from "../api/methods/snapshot-types.ts";
import { Sealer } from "../base/sealer.ts";
import { isOwner } from "../http/access.ts";
import type { AccessControl } from "../http/access-control.ts";
import { requireReach, requireRight } from "../http/grant.ts";
import { isDraining, serverStopping } from "../monitoring/draining.ts";
import { toUserError, userError, withUserErrors } from "../rivet/user-error.ts";
import { type ForkRecords, type ForkSource, receiveFork } from "../runtime/persistence/fork.ts";
import type { Store } from "../runtime/store/store.ts";
import type { VmContext, VmState } from "./context.ts";
import { asRunning } from "./drain.ts";
import { forkError, isBetweenServers, isOver } from "./fork-error.ts";
import type { ForkTicket } from "./fork-ticket.ts";
import { FORK_MOVE_MS } from "./limits.ts";
import { sealingKeyOf } from "./sealing-key.ts";

/**
 * Actions between the two actors of a fork. The old VM creates the new VM with a ticket. The new VM reads the old VM's
 * storage under that ticket. Only the two actors know the ticket, and it expires with the fork; a VM with a made-up
 * ticket destroys itself. None of them is part of the API: a client gets `action_not_found`.
 */
export const FORK_ACTIONS = { read: "readFork", take: "takeFork", check: "checkFork" } as const;

const TICKET_BYTES = 32;

/** Pause before a new VM that moves to another server is asked again. */
const FORK_PAUSE_MS = 250;

/** Parameters of a connection between the two actors of a fork, which no client knows. */
export interface PeerParams {
  fork: true;
  /** Token of the server's own calls. Behind a Rivet Engine all servers with the same secret have the same. */
  token: string;
}

export function peerParams({ policy }: AccessControl): PeerParams {
  return { fork: true, token: policy.secret };
}

/** Whether a connection is one between the two actors of a fork. */
export function isFork({ policy }: AccessControl, params: unknown): boolean {
  const { fork, token } = Object(params) as Partial<PeerParams>;
  return fork === true && typeof token === "string" && isOwner({ secret: policy.secret }, [token]);
}

/** The part of another actor that a fork uses. */
interface Peer {
  resolve(): Promise<string>;
  action(request: { name: string; args: unknown[] }): Promise<unknown>;
}

interface Peers {
  create(key: string[], options: { input: unknown; params: PeerParams }): Promise<Peer>;
  get(key: string[], options: { params: PeerParams }): Peer;
  getForId(actorId: string, options: { params: PeerParams }): Peer;
}

/** The part of an actor that a fork uses. */
export interface ForkActor {
  readonly name: string;
  readonly state: VmState | undefined;
  client(): unknown;
  destroy(): void;
}

const peersOf = (actor: Pick<ForkActor, "name" | "client">): Peers =>
  (actor.client() as Record<string, Peers>)[actor.name]!;

/** One read of a fork. The last one, which has the head, also has the secrets. */
interface ForkPiece extends ForkRecords {
  /** Encrypted secrets, if the fork gets them. */
  secrets?: string;
}

/** A running fork. */
interface OpenFork {
  source: ForkSource;
  /** Encrypted secrets for the new VM; `undefined`: it gets no secrets. */
  secrets: string | undefined;
}

/** Running forks of one awake VM. */
export class Forks {
  readonly #open = new Map<string, OpenFork>();

  async read(ticket: string, from: number): Promise<ForkPiece> {
    const open = this.#open.get(ticket);
    if (open === undefined) throw actionNotFound(FORK_ACTIONS.read);
    const { source, secrets } = open;
    const records = await source.read(from);
    return records.next === null && secrets !== undefined ? { ...records, secrets } : records;
  }

  /**
   * Runs `work`. Until it ends, the ticket opens the source.
   *
   * @param seal returns the encrypted secrets for the new VM, if it gets secrets
   */
  async during<Result>(
    source: ForkSource,
    seal: (ticket: string) => Promise<string | undefined>,
    work: (ticket: string) => Promise<Result>,
  ): Promise<Result> {
    const ticket = randomBytes(TICKET_BYTES).toString("hex");
    this.#open.set(ticket, { source, secrets: await seal(ticket) });
    try {
      return await work(ticket);
    } finally {
      this.#open.delete(ticket);
    }
  }
}

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

/** Creates a new VM with the files that this VM has now or had at a snapshot, and with its secrets if they are asked for. */
export async function fork(
  c: VmContext,
  newKey: string | string[],
  { secrets = false, snapshot }: ForkOptions = {},
): Promise<ForkedVm> {
  const { instance } = c.vars;
  const key = [newKey].flat();
  requireReach(c.conn.state, { name: c.name, key });
  if (secrets) requireRight(c.conn.state, { right: "admin" }, { option: "secrets of fork" });
  const seal = async (ticket: string) => (secrets ? await sealedSecrets(c, ticket) : undefined);
  const work = (source: ForkSource) =>
    instance.forks.during(source, seal, async (ticket) => {
      const input = {
        fork: { actorId: c.actorId, ticket },
        own: { ...c.state.own, labels: await instance.vm.labels() },
      };
      const made = await create(peersOf(c), key, { input, params: peerParams(c.vars.access) });
      // A new VM that fails here destroys itself, so that its key is free again.
      await fill(made);
      return { key, actorId: await made.resolve() };
    });
  return await instance.vm.withForkSource(work, snapshot);
}

/** Lets the new VM take its files. A server that it leaves in the middle hands it over, and it begins again. */
async function fill(made: Peer): Promise<void> {
  const until = performance.now() + FORK_MOVE_MS;
  for (;;) {
    try {
      await made.action({ name: FORK_ACTIONS.take, args: [] });
      return;
    } catch (error) {
      if (!isBetweenServers(error) || performance.now() > until) throw forkError(error);
      await delay(FORK_PAUSE_MS);
    }
  }
}

async function create(
  peers: Peers,
  key: string[],
  options: { input: unknown; params: PeerParams },
): Promise<Peer> {
  try {
    return await peers.create(key, options);
  } catch (error) {
    if ((error as { code?: unknown }).code !== "duplicate_key") throw forkError(error);
    // A VM whose fork was cut off, and that nobody has called since, destroys itself now.
    const { params } = options;
    await peers
      .get(key, { params })
      .action({ name: FORK_ACTIONS.check, args: [] })
      .catch(() => undefined);
    throw new AgentVmError("duplicate_key", `A VM with the key ${JSON.stringify(key)} exists already`, {
      key,
      hint: "fork() makes a new VM. Pass a key that no VM has.",
    });
  }
}

/** Answers a new VM that copies this VM's files. */
export async function readFork(c: VmContext, ticket: unknown, from: unknown): Promise<ForkPiece> {
  if (!c.conn.state.unlimited || typeof ticket !== "string" || typeof from !== "number")
    throw userError(actionNotFound(FORK_ACTIONS.read));
  return await withUserErrors(c.vars.instance.monitor.log, FORK_ACTIONS.read, () =>
    c.vars.instance.forks.read(ticket, from),
  );
}

/** Encrypts the secrets of a VM for its fork, which the ticket names. @throws AgentVmError `not_supported` */
async function sealedSecrets(c: VmContext, ticket: string): Promise<string> {
  const own = await c.vars.instance.vm.ownSecrets();
  return sealerOf(c.vars.secret, ticket)
    .seal(FORK_ACTIONS.take, Buffer.from(JSON.stringify(own)))
    .toString("base64");
}

/** Decrypts the secrets of the old VM. @throws AgentVmError `not_supported`, Error if the old VM's server has another secret */
export function openSecrets(
  secret: Uint8Array | undefined,
  ticket: string,
  sealed: string,
): Record<string, VmSecret> {
  const opened = sealerOf(secret, ticket).open(FORK_ACTIONS.take, Buffer.from(sealed, "base64"));
  return JSON.parse(opened.toString());
}

function sealerOf(secret: Uint8Array | undefined, ticket: string): Sealer {
  if (secret !== undefined) return new Sealer(sealingKeyOf(secret, `fork ${ticket}`));
  throw new AgentVmError("not_supported", "This server has no key to pass secrets on to a fork", {
    hint: "Set AGENT_VM_SECRET on the server, or fork without secrets and call setSecrets().",
  });
}

/** Copies files and secrets into this new VM. Answers the old VM when they have arrived. */
export async function takeFork(c: VmContext): Promise<null> {
  const { instance } = c.vars;
  const { arrival } = instance;
  if (!c.conn.state.unlimited || !arrival.isPending) throw userError(actionNotFound(FORK_ACTIONS.take));
  try {
    await asRunning(instance, () => arrival.take());
    arrival.end();
    return null;
  } catch (error) {
    // The VM moves to another server, where the old VM asks it again.
    if (isDraining()) throw userError(serverStopping());
    c.destroy();
    throw toUserError(forkError(error), instance.monitor.log, FORK_ACTIONS.take);
  }
}

/** Makes this VM destroy itself if it is the rest of a fork that was cut off. */
export async function checkFork(c: VmContext): Promise<null> {
  const { arrival, monitor } = c.vars.instance;
  if (!c.conn.state.unlimited || !arrival.isPending) throw userError(actionNotFound(FORK_ACTIONS.check));
  await withUserErrors(monitor.log, FORK_ACTIONS.check, () => arrival.ready());
  return null;
}
