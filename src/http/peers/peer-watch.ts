import type { Forwarder } from "./forward.ts";
import { PEER_SIGN_MS } from "./limits.ts";
import type { Peer } from "./places.ts";

/** Path of the listener for other servers that answers a sign of life. */
export const SIGN_PATH = "/agent-vm/sign";

/** Signs that may not come before the requests under way to a server end. */
const MAX_MISSING = 2;

interface Watched {
  peer: Peer;
  cuts: Set<() => void>;
  missing: number;
}

/**
 * Ends the requests under way to a server that gives no sign of life. A connection to a server that is frozen, or out of
 * reach, would stay open otherwise.
 */
export class PeerWatch {
  readonly #forwarder: Forwarder;
  readonly #watched = new Map<string, Watched>();
  #timer: NodeJS.Timeout | undefined;

  constructor(forwarder: Forwarder) {
    this.#forwarder = forwarder;
  }

  /** A request to a server is under way. @param cut ends it @returns a function to call when it has ended */
  begun(peer: Peer, cut: () => void): () => void {
    const watched = this.#watched.get(peer.server) ?? { peer, cuts: new Set(), missing: 0 };
    this.#watched.set(peer.server, watched);
    watched.cuts.add(cut);
    this.#timer ??= setInterval(() => this.#look(), PEER_SIGN_MS).unref();
    return () => {
      if (!watched.cuts.delete(cut)) return;
      if (watched.cuts.size === 0) this.#watched.delete(peer.server);
      if (this.#watched.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  }

  #look(): void {
    for (const watched of this.#watched.values()) {
      // A sign of this interval clears the count before the next look.
      if (watched.missing >= MAX_MISSING) for (const cut of [...watched.cuts]) cut();
      watched.missing += 1;
      const alive = () => {
        watched.missing = 0;
      };
      this.#forwarder.sign(watched.peer, SIGN_PATH).then(alive, () => undefined);
    }
  }
}
