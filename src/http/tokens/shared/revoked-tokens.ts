import { within } from "../../../base/within.ts";
import { MAX_REVOKED_AGE_MS, REVOKED_AGE_MS, REVOKED_WAIT_MS } from "./limits.ts";
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
  /** When the question under way began. */
  #askingSince = Number.NEGATIVE_INFINITY;
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
    const asking = this.#refresh();
    if (this.#age > MAX_REVOKED_AGE_MS) return await asking;
    // The actor that knows may be on its way to another server. The list that is here holds meanwhile.
    const left = REVOKED_WAIT_MS - (performance.now() - this.#askingSince);
    await within(
      asking.catch(() => undefined),
      left,
    );
  }

  /** Asks for a list that has what was revoked until now. */
  async refresh(): Promise<void> {
    await this.#asking?.catch(() => undefined);
    await this.#refresh();
  }

  #refresh(): Promise<void> {
    if (this.#asking !== undefined) return this.#asking;
    this.#askingSince = performance.now();
    this.#asking = this.#ask().finally(() => {
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
