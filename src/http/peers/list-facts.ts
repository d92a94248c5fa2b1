import { unlessAborted } from "../../base/within.ts";
import { PEER_LIST_MS } from "./limits.ts";
import type { ServerFacts } from "./live-facts.ts";
import type { Facts } from "./messages.ts";
import type { Peer } from "./places.ts";

/** VMs in one question. */
const MAX_ASKED = 100;

/** Says how the VMs of one list are. All its questions together have one end. */
export class ListFacts {
  readonly #servers: ServerFacts;
  readonly #use: boolean;
  /** The other servers, for which a list asks the engine once. */
  #others: Promise<Peer[]> | undefined;
  #leftMs = PEER_LIST_MS;
  #isOver = false;

  /** @param use whether the list shows what VMs use */
  constructor(servers: ServerFacts, use: boolean) {
    this.#servers = servers;
    this.#use = use;
  }

  /** Whether the time of the list is over. Facts may then be missing. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Returns how VMs of all servers are. A VM whose server does not answer has no facts. */
  async of(actorIds: readonly string[]): Promise<Facts> {
    if (actorIds.length === 0) return {};
    const begun = performance.now();
    const signal = AbortSignal.timeout(Math.max(0, Math.ceil(this.#leftMs)));
    const found = await this.#servers.here(actorIds, this.#use);
    const missing = () => actorIds.filter((actorId) => found[actorId] === undefined);
    const known = new Map<string, Peer>();
    for (const actorId of missing()) {
      const peer = this.#servers.known(actorId);
      if (peer !== undefined) known.set(actorId, peer);
    }
    const peers = new Map([...known.values()].map((peer) => [peer.server, peer]));
    await this.#ask(found, peers.values(), signal, (peer) =>
      [...known].filter(([, { server }]) => server === peer.server).map(([actorId]) => actorId),
    );
    const rest = missing();
    if (rest.length > 0)
      await this.#ask(found, await this.#all(signal), signal, (peer) =>
        rest.filter((actorId) => known.get(actorId)?.server !== peer.server),
      );
    this.#leftMs -= performance.now() - begun;
    this.#isOver ||= signal.aborted;
    return found;
  }

  async #all(signal: AbortSignal): Promise<Peer[]> {
    this.#others ??= this.#servers.others().catch(() => []);
    return await unlessAborted(this.#others, signal).catch(() => []);
  }

  /** Asks servers, each about some VMs, and adds what they answer. */
  async #ask(
    found: Facts,
    peers: Iterable<Peer>,
    signal: AbortSignal,
    about: (peer: Peer) => string[],
  ): Promise<void> {
    const questions: Promise<Facts>[] = [];
    for (const peer of peers) {
      const actorIds = about(peer);
      for (let at = 0; at < actorIds.length; at += MAX_ASKED) {
        const asked = actorIds.slice(at, at + MAX_ASKED);
        questions.push(this.#servers.ask(peer, asked, { use: this.#use, signal }));
      }
    }
    Object.assign(found, ...(await Promise.all(questions)));
  }
}
