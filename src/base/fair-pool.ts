/** Something that keeps bytes, and can keep fewer. */
export interface Keeper {
  /** Bytes that it keeps now. */
  readonly bytes: number;
  /** Drops bytes until it keeps at most so many. */
  shrinkTo(bytes: number): void;
}

/** A keeper that counts its bytes, also in a pool. */
export abstract class PooledKeeper implements Keeper {
  readonly #pool: FairPool | undefined;
  #bytes = 0;

  /** @param pool bytes of all keepers. @default none */
  constructor(pool?: FairPool) {
    this.#pool = pool;
  }

  get bytes(): number {
    return this.#bytes;
  }

  abstract shrinkTo(bytes: number): void;

  /** Counts bytes that the keeper has taken (above 0) or given up (below 0). */
  protected change(bytes: number): void {
    this.#bytes += bytes;
    this.#pool?.changed(this, bytes);
  }
}

/** Part of a pool that a cut leaves free, so that the next cut is far away: one in so many bytes. */
const FREED_PART = 32;

/**
 * Bytes that keepers may hold together, such as what the server keeps of all VMs. Past the limit the keepers with the most lose bytes,
 * until a part is free. A keeper that has less than its equal share loses nothing.
 */
export class FairPool {
  readonly #most: number;
  readonly #keepers = new Set<Keeper>();
  #bytes = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Bytes of all keepers. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Counts bytes that a keeper has taken (above 0) or given up (below 0). Call it when `bytes` of the keeper says so. */
  changed(keeper: Keeper, bytes: number): void {
    this.#bytes += bytes;
    if (keeper.bytes > 0) this.#keepers.add(keeper);
    else this.#keepers.delete(keeper);
    if (bytes > 0 && this.#bytes > this.#most) this.#makeRoom();
  }

  #makeRoom(): void {
    const keepers = [...this.#keepers];
    const share = equalShare(
      keepers.map(({ bytes }) => bytes),
      this.#most - this.#most / FREED_PART,
    );
    for (const keeper of keepers) if (keeper.bytes > share) keeper.shrinkTo(share);
  }
}

/** Returns the bytes that each may keep if all together keep `most`, and those with less keep all they have. */
export function equalShare(bytes: readonly number[], most: number): number {
  let left = most;
  for (const [index, each] of bytes.toSorted((one, other) => one - other).entries()) {
    const share = left / (bytes.length - index);
    if (each > share) return share;
    left -= each;
  }
  return Number.POSITIVE_INFINITY;
}
