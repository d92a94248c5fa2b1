import type { Grant } from "./grant.ts";

/** Longest delay that a timer takes, in milliseconds. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** Why a connection's grant has ended. */
export type GrantEnd = "expired" | "revoked";

interface Holder {
  tokenId: string | undefined;
  end(reason: GrantEnd): void;
  timer: NodeJS.Timeout | undefined;
}

/** Open connections whose grant may end before they do. Each is closed when its token expires or is revoked. */
export class LiveGrants {
  readonly #holders = new Map<string, Holder>();

  /**
   * A connection has opened.
   *
   * @param end closes it
   */
  opened(connectionId: string, { unlimited, tokenId, expiresAt }: Grant, end: Holder["end"]): void {
    if (unlimited) return;
    const holder: Holder = { tokenId, end, timer: undefined };
    this.#holders.set(connectionId, holder);
    if (expiresAt !== undefined) this.#endAt(connectionId, holder, expiresAt);
  }

  closed(connectionId: string): void {
    clearTimeout(this.#holders.get(connectionId)?.timer);
    this.#holders.delete(connectionId);
  }

  /** Whether an open connection carries a token. */
  get hasTokens(): boolean {
    return [...this.#holders.values()].some(({ tokenId }) => tokenId !== undefined);
  }

  /** Closes the connections that carry one of these tokens. */
  revoked(tokenIds: readonly string[]): void {
    const gone = new Set(tokenIds);
    for (const [connectionId, { tokenId }] of this.#holders) {
      if (tokenId !== undefined && gone.has(tokenId)) this.#end(connectionId, "revoked");
    }
  }

  /** Returns whether the grant of a connection holds. A connection that is being closed may still send. */
  holds(connectionId: string, { unlimited }: Grant): boolean {
    return unlimited === true || this.#holders.has(connectionId);
  }

  #endAt(connectionId: string, holder: Holder, expiresAt: number): void {
    const left = expiresAt - Date.now();
    const next =
      left > 0
        ? () => this.#endAt(connectionId, holder, expiresAt)
        : () => this.#end(connectionId, "expired");
    holder.timer = setTimeout(next, Math.min(Math.max(left, 0), MAX_DELAY_MS)).unref();
  }

  #end(connectionId: string, reason: GrantEnd): void {
    const holder = this.#holders.get(connectionId);
    this.closed(connectionId);
    holder?.end(reason);
  }
}
