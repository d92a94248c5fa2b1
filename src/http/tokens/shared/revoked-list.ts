import { randomUUID } from "node:crypto";
import { REVOKED_STEP, type RevokedPage } from "./messages.ts";

/** A note about a revoked token. */
export interface RevokedNote {
  /** Time at which all copies of the token have expired, in milliseconds since the Unix epoch. */
  end: number;
  /** Client to which the token counts; `null`: the administrator. */
  owner: string | null;
}

/** Revoked tokens that have not expired, in the order of their revocation. */
export class RevokedList {
  /** Names the order. Each list has its own, and another one after it has dropped expired tokens. */
  #epoch = randomUUID();
  #order: [id: string, end: number][] = [];
  readonly #notes = new Map<string, RevokedNote>();
  readonly #counts = new Map<string | null, number>();

  has(id: string): boolean {
    return this.#notes.has(id);
  }

  add(id: string, note: RevokedNote): void {
    if (this.#notes.has(id)) return;
    this.#notes.set(id, note);
    this.#order.push([id, note.end]);
    this.#countUp(note.owner, 1);
  }

  /**
   * @param owner counts the tokens of one client, or with `null` of the administrator
   * @default the tokens of all clients but the administrator
   */
  count(owner?: string | null): number {
    return owner === undefined ? this.#notes.size - this.count(null) : (this.#counts.get(owner) ?? 0);
  }

  /** Forgets tokens that have expired. @returns their ids */
  forgetExpired(): string[] {
    const now = Date.now();
    const gone: string[] = [];
    for (const [id, { end, owner }] of this.#notes) {
      if (end > now) continue;
      gone.push(id);
      this.#notes.delete(id);
      this.#countUp(owner, -1);
    }
    // A new order makes every server ask for all of the list again, so it comes seldom.
    if (this.#order.length > REVOKED_STEP && this.#order.length > 2 * this.#notes.size) {
      this.#order = this.#order.filter(([id]) => this.#notes.has(id));
      this.#epoch = randomUUID();
    }
    return gone;
  }

  /** Names the tokens that were revoked after the first ones of an epoch; all tokens for another epoch. */
  after(epoch: string, after: number): RevokedPage {
    const from = epoch === this.#epoch ? after : 0;
    return { epoch: this.#epoch, after: from, tokens: this.#order.slice(from, from + REVOKED_STEP) };
  }

  #countUp(owner: string | null, by: number): void {
    const count = (this.#counts.get(owner) ?? 0) + by;
    if (count > 0) this.#counts.set(owner, count);
    else this.#counts.delete(owner);
  }
}
