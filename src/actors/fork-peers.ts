import { isOwner } from "../http/access.ts";
import type { AccessControl } from "../http/access-control.ts";
import type { ForkRecords } from "../runtime/persistence/fork.ts";
import type { ForkTicket } from "./fork-ticket.ts";

/**
 * Actions between the two actors of a fork. The old VM creates the new VM with a ticket. The new VM reads the old VM's
 * storage under that ticket. Only the two actors know the ticket, and it expires with the fork; a VM with a made-up
 * ticket destroys itself. None of them is part of the API: a client gets `action_not_found`.
 */
export const FORK_ACTIONS = { read: "readFork", take: "takeFork", check: "checkFork" } as const;

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
export interface Peer {
  resolve(): Promise<string>;
  action(request: { name: string; args: unknown[] }): Promise<unknown>;
}

export interface Peers {
  create(key: string[], options: { input: unknown; params: PeerParams }): Promise<Peer>;
  get(key: string[], options: { params: PeerParams }): Peer;
  getForId(actorId: string, options: { params: PeerParams }): Peer;
}

/** The part of an actor that a fork uses. */
export interface ForkActor {
  readonly name: string;
  readonly state: { fork?: ForkTicket } | undefined;
  client(): unknown;
  destroy(): void;
}

/** Returns the actors of the same name. */
export const peersOf = (actor: Pick<ForkActor, "name" | "client">): Peers =>
  (actor.client() as Record<string, Peers>)[actor.name]!;

/** One read of a fork. The last one, which has the head, also has the secrets. */
export interface ForkPiece extends ForkRecords {
  /** Encrypted secrets, if the fork gets them. */
  secrets?: string;
}
