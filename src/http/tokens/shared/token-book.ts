import { randomUUID } from "node:crypto";
import { z } from "zod";
import { encodeJson, listAll, putAll, type Store, tryDecodeJson } from "../../../runtime/store/store.ts";
import { type StoredToken, TokenStore } from "../token-store.ts";
import type { TokenRecords } from "../tokens.ts";
import { REVOKED_STEP, type RevokedPage } from "./messages.ts";

/** Keys of the actor's storage: valid tokens, and revoked ones until they expire. */
const [VALID, REVOKED] = ["token/", "revoked/"];

const recordSchema = z.object({ number: z.int(), token: z.custom<StoredToken>() });
const endSchema = z.number();

/**
 * Notes about the tokens of all servers behind an engine, in the storage of one actor. Other than in a data folder, a token without a
 * note is valid: servers ask only which tokens are revoked.
 */
export class TokenBook implements TokenRecords {
  /** Names the order of the revoked tokens. Each instance of the actor has its own. */
  readonly epoch: string = randomUUID();
  readonly #store: Store;
  readonly #tokens = new TokenStore(":memory:");
  readonly #numbers = new Map<string, number>();
  readonly #revoked = new Map<string, number>();

  private constructor(store: Store) {
    this.#store = store;
  }

  /** Reads the notes. Finishes a removal that an earlier instance began. */
  static async open(store: Store): Promise<TokenBook> {
    const book = new TokenBook(store);
    await book.#load();
    return book;
  }

  count(owner?: string | null): number {
    return this.#tokens.count(owner);
  }

  get(id: string): StoredToken | undefined {
    return this.#tokens.get(id);
  }

  has(id: string): boolean {
    return !this.#revoked.has(id);
  }

  list(...page: Parameters<TokenStore["list"]>): ReturnType<TokenStore["list"]> {
    return this.#tokens.list(...page);
  }

  async add(token: StoredToken): Promise<void> {
    const number = this.#tokens.add(token);
    this.#numbers.set(token.id, number);
    const gone = this.#tokens.forgetExpired();
    try {
      await this.#note(token);
    } catch (error) {
      // Nobody has got this token.
      await this.#tokens.remove(token.id, () => undefined);
      throw error;
    }
    await this.#forget(gone);
  }

  forgetExpired(): void {
    // `add` does it, together with what is stored.
  }

  async renew(id: string, expiresAt: number, latest: number | null): Promise<void> {
    const token = this.#tokens.get(id);
    if (token === undefined) return;
    await this.#note({ ...token, expiresAt, latest });
    this.#tokens.renew(id, expiresAt, latest);
  }

  async remove(id: string, onRemoved: (ids: readonly string[]) => void): Promise<void> {
    const end = (each: string) => this.#tokens.get(each)?.expiresAt ?? Date.now();
    // From now on nobody makes a token with it.
    this.#revoked.set(id, end(id));
    const all = [id, ...(await this.#familyOf(id))];
    await this.#revoke(new Map(all.map((each) => [each, end(each)])));
    await this.#tokens.remove(id, onRemoved);
  }

  /** Names the tokens that were revoked after the first ones of this epoch. */
  revokedAfter(epoch: string, after: number): RevokedPage {
    const from = epoch === this.epoch ? after : 0;
    const tokens = [...this.#revoked].slice(from, from + REVOKED_STEP);
    return { epoch: this.epoch, after: from, tokens };
  }

  close(): void {
    this.#tokens.close();
  }

  /** Finds all tokens that were made with a token. */
  async #familyOf(id: string): Promise<string[]> {
    const parents = new Map<string, string[]>();
    const { tokens } = await this.#tokens.list(Number.MAX_SAFE_INTEGER, 0, ({ parent }) => parent !== null);
    for (const { id: child, parent } of tokens)
      parents.set(parent as string, [...(parents.get(parent as string) ?? []), child]);
    const family = [...(parents.get(id) ?? [])];
    for (const member of family) family.push(...(parents.get(member) ?? []));
    return family;
  }

  async #revoke(ends: ReadonlyMap<string, number>): Promise<void> {
    await putAll(
      this.#store,
      [...ends].map(([id, end]) => [REVOKED + id, encodeJson(end)]),
    );
    for (const [id, end] of ends) this.#revoked.set(id, end);
    await this.#forget([...ends.keys()]);
  }

  async #note(token: StoredToken): Promise<void> {
    const number = this.#numbers.get(token.id);
    await this.#store.put([[VALID + token.id, encodeJson({ number, token })]]);
  }

  async #forget(ids: readonly string[]): Promise<void> {
    for (const id of ids) this.#numbers.delete(id);
    await this.#store.delete(ids.map((id) => VALID + id));
  }

  async #load(): Promise<void> {
    const now = Date.now();
    const expired: string[] = [];
    for await (const [key, value] of listAll(this.#store, REVOKED)) {
      const end = endSchema.parse(tryDecodeJson(value));
      if (end > now) this.#revoked.set(key.slice(REVOKED.length), end);
      else expired.push(key);
    }
    const found: z.output<typeof recordSchema>[] = [];
    for await (const [key, value] of listAll(this.#store, VALID)) {
      const record = recordSchema.parse(tryDecodeJson(value));
      if (record.token.expiresAt > now && !this.#revoked.has(record.token.id)) found.push(record);
      else expired.push(key);
    }
    for (const { number, token } of found.sort((a, b) => a.number - b.number)) {
      this.#tokens.add(token, number);
      this.#numbers.set(token.id, number);
    }
    await this.#store.delete(expired);
    await this.#revokeOrphans();
  }

  /** Revokes tokens whose maker's token was revoked before the removal was over. */
  async #revokeOrphans(): Promise<void> {
    const { tokens } = await this.#tokens.list(
      Number.MAX_SAFE_INTEGER,
      0,
      ({ parent }) => parent !== null && this.#revoked.has(parent),
    );
    for (const { id } of tokens) await this.remove(id, () => undefined);
  }
}
