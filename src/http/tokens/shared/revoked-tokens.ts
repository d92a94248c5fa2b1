import { MAX_REVOKED_AGE_MS, REVOKED_AGE_MS } from "./limits.ts";
import { REVOKED_STEP } from "./messages.ts";
import type { TokenDesk } from "./token-desk.ts";

interface RevokedDeps {
  desk: Pick<TokenDesk, "revoked">;
  /** Receives the ids of tokens that have been revoked since the last time. */
  onRevoked(ids: readonly string[]): void;
  /** Whether there are open connections with tokens, which end when theirs is revoked. */
  isWatched(): boolean;
}

/** A server's copy of the list of revoked tokens. It is asked for while the server admits tokens, or has connections with some. */
export class RevokedTokens {
  readonly #deps: RevokedDeps;
  /** Ends of tokens, by id. */
  readonly #ends = new Map<string, number>();
  #place = { epoch: "", after: 0 };
  #askedAt = Number.NEGATIVE_INFINITY;
  #usedAt = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: RevokedDeps) {
    this.#deps = deps;
  }

  has(id: string): boolean {
    return this.#ends.has(id);
  }

  /** Resolves when the list is recent enough to admit a token. @throws AgentVmError if no server tells a list */
  async fresh(): Promise<void> {
    this.#usedAt = performance.now();
    this.#timer ??= setInterval(() => this.#watch(), REVOKED_AGE_MS).unref();
    if (this.#age < REVOKED_AGE_MS) return;
    try {
      await this.#refresh();
    } catch (error) {
      if (this.#age > MAX_REVOKED_AGE_MS) throw error;
    }
  }

  /** Asks for a list that has what was revoked until now. */
  async refresh(): Promise<void> {
    await this.#asking?.catch(() => undefined);
    await this.#refresh();
  }

  #refresh(): Promise<void> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  get #age(): number {
    return performance.now() - this.#askedAt;
  }

  #watch(): void {
    if (this.#deps.isWatched()) return void this.#refresh().catch(() => undefined);
    if (performance.now() - this.#usedAt < MAX_REVOKED_AGE_MS) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #ask(): Promise<void> {
    const askedAt = performance.now();
    for (let isLast = false; !isLast; ) {
      const page = await this.#deps.desk.revoked(this.#place.epoch, this.#place.after);
      isLast = (page?.tokens.length ?? 0) < REVOKED_STEP;
      if (page === undefined) continue;
      const fresh = page.tokens.filter(([id]) => !this.#ends.has(id));
      for (const [id, end] of fresh) this.#ends.set(id, end);
      this.#place = { epoch: page.epoch, after: page.after + page.tokens.length };
      if (fresh.length > 0) this.#deps.onRevoked(fresh.map(([id]) => id));
    }
    this.#askedAt = askedAt;
    const now = Date.now();
    // A token that has expired is refused anyway.
    for (const [id, end] of this.#ends) if (end + MAX_REVOKED_AGE_MS < now) this.#ends.delete(id);
  }
}
