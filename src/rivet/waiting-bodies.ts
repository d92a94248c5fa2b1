import { limitExceeded } from "../api/errors.ts";
import { MIB } from "../api/units.ts";
import { BytePool, ByteShare } from "../base/byte-share.ts";

/**
 * Bodies of HTTP requests of all clients that wait for the start of a VM, without the first SMALL_WAITING_BODY_BYTES of each client. A
 * client is a token, or an identity of `authorize`.
 * @unit bytes
 * @past The call is refused.
 * @code limit_exceeded
 */
const MAX_WAITING_BODY_BYTES = 256 * MIB;

/**
 * Bodies of HTTP requests that wait for the start of a VM, which each client may have at any time. They hold the largest message.
 * @unit bytes
 * @past MAX_WAITING_BODY_BYTES applies.
 */
const SMALL_WAITING_BODY_BYTES = 32 * MIB;

/** Counts complete bodies of calls, which RivetKit 2.2 holds until the actor has started. The VM counts the arguments of a running call. */
export class WaitingBodies {
  readonly #limits: ConstructorParameters<typeof ByteShare>[0];
  readonly #shares = new Map<string, ByteShare>();

  constructor(most = MAX_WAITING_BODY_BYTES, small = SMALL_WAITING_BODY_BYTES) {
    this.#limits = { most: Number.POSITIVE_INFINITY, small, pool: new BytePool(most) };
  }

  /**
   * @returns a function that counts the body no longer
   * @throws AgentVmError `limit_exceeded`
   */
  hold(client: string, bytes: number): () => void {
    const share = this.#shares.get(client) ?? new ByteShare(this.#limits);
    if (!share.take(bytes)) {
      throw limitExceeded(
        { MAX_WAITING_BODY_BYTES },
        "The calls that wait for the start of a VM have too many bytes",
        "Wait for the start.",
      );
    }
    this.#shares.set(client, share);
    return () => {
      share.give(bytes);
      // After an empty body the client may have another share.
      if (share.bytes === 0 && this.#shares.get(client) === share) this.#shares.delete(client);
    };
  }
}
