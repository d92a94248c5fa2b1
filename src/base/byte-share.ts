/** Bytes that all shares of one kind may have together, without the small part of each. */
export class BytePool {
  readonly most: number;
  /** Bytes that are taken. */
  bytes = 0;

  constructor(most: number) {
    this.most = most;
  }
}

interface ShareLimits {
  /** Bytes of the share. */
  most: number;
  /** Bytes that it has at any time, whatever other shares of the pool have. */
  small: number;
  pool: BytePool;
}

/** Memory of the server that one VM may take for something, so that no VM takes what others need. */
export class ByteShare {
  readonly #limits: ShareLimits;
  #bytes = 0;
  /** Bytes that other shares cannot have meanwhile. */
  #pooled = 0;

  constructor(limits: ShareLimits) {
    this.#limits = limits;
  }

  /** Bytes that are taken. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether there is no room at all. */
  get isFull(): boolean {
    const isTaken = this.take(1);
    if (isTaken) this.give(1);
    return !isTaken;
  }

  /** @returns `false` if there is no room. Then nothing is taken */
  take(bytes: number): boolean {
    const { most, small, pool } = this.#limits;
    const own = this.#bytes + bytes;
    const pooled = Math.max(0, own - small);
    if (own > most) return false;
    if (pooled > 0 && pool.bytes - this.#pooled + pooled > pool.most) return false;
    this.#set(own);
    return true;
  }

  /** Takes bytes that are there already, also if there is no room. */
  force(bytes: number): void {
    this.#set(this.#bytes + bytes);
  }

  give(bytes: number): void {
    this.#set(this.#bytes - bytes);
  }

  #set(bytes: number): void {
    const { small, pool } = this.#limits;
    const pooled = Math.max(0, bytes - small);
    pool.bytes += pooled - this.#pooled;
    this.#bytes = bytes;
    this.#pooled = pooled;
  }
}
