import { limitExceeded } from "../api/errors.ts";
import { leastSize } from "../api/size.ts";
import { BytePool, ByteShare } from "../base/byte-share.ts";
import {
  MAX_HELD_ARGUMENT_BYTES,
  MAX_SERVER_HELD_ARGUMENT_BYTES,
  SMALL_HELD_ARGUMENT_BYTES,
} from "./limits.ts";

/** Arguments that are not worth counting. MAX_CALLS bounds such calls. */
const SMALL_CALL_BYTES = 16 * 1024;

const pool = new BytePool(MAX_SERVER_HELD_ARGUMENT_BYTES);

/** Arguments of one call. */
interface Held {
  /** Counts the arguments again after a part of them was taken out. */
  changed(): void;
  /** Idempotent. */
  release(): void;
}

const NOTHING: Held = { changed: () => undefined, release: () => undefined };

/**
 * Counts the arguments that the server holds for the running calls of one VM. Calls wait for a boot, and for files. Meanwhile a client
 * may send thousands of them.
 */
export class HeldArguments {
  readonly #memory: ByteShare;

  constructor(memory?: ByteShare) {
    const limits = { most: MAX_HELD_ARGUMENT_BYTES, small: SMALL_HELD_ARGUMENT_BYTES, pool };
    this.#memory = memory ?? new ByteShare(limits);
  }

  /** @throws AgentVmError `limit_exceeded`: the call has not begun */
  hold(args: readonly unknown[]): Held {
    let bytes = leastSize(args);
    if (bytes < SMALL_CALL_BYTES) return NOTHING;
    if (!this.#memory.take(bytes)) {
      const isOwn = this.#memory.bytes + bytes > MAX_HELD_ARGUMENT_BYTES;
      throw limitExceeded(
        isOwn ? { MAX_HELD_ARGUMENT_BYTES } : { MAX_SERVER_HELD_ARGUMENT_BYTES },
        `The running calls of ${isOwn ? "the VM" : "all VMs"} have too many bytes of arguments`,
        "Wait for a running call to end.",
      );
    }
    const set = (left: number) => {
      this.#memory.give(bytes - left);
      bytes = left;
    };
    return { changed: () => set(Math.min(bytes, leastSize(args))), release: () => set(0) };
  }
}
