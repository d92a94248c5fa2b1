import { Mutex } from "../../../base/mutex.ts";
import { encodeJson, putAll, type Store } from "../../../runtime/store/store.ts";
import { type StoredToken, TokenStore } from "../token-store.ts";
import { revoked, type TokenRecords } from "../tokens.ts";
import type { RevokedPage } from "./messages.ts";
import { REVOKED, revokedIn, VALID, type ValidNote, validIn } from "./notes.ts";
import { RevokedList, type RevokedNote } from "./revoked-list.ts";

/**
 * Notes about the tokens of all servers behind an engine, in the storage of one actor. Other than in a data folder, a token without a
 * note is valid: servers ask only which tokens are revoked.
 */
export class TokenBook implements TokenRecords {
  readonly #store: Store;
  readonly #tokens = new TokenStore(":memory:");
  readonly #numbers = new Map<string, number>();
  readonly #revoked = new RevokedList();
  /** Tokens of revocations that are not stored yet. Nobody makes or renews a token with them. */
  readonly #ending = new Set<string>();
  /** Keys of notes about tokens that have expired. */
  #expired: string[] = [];
  /** Changes of the notes, one at a time. */
  readonly #changes = new Mutex();

  private constructor(store: Store) {
    this.#store = store;
  }

  /**
   * Reads the notes. Finishes a removal that an earlier instance began.
   *
   * @param onDamaged receives the keys of notes that cannot be read
   */
  static async open(store: Store, onDamaged: (key: string) => void): Promise<TokenBook> {
    const book = new TokenBook(store);
    await book.#load(onDamaged);
    return book;
  }

  /** Counts revoked tokens too, until they expire: their notes take as much room. */
  count(owner?: string | null): number {
    return this.#tokens.count(owner) + this.#revoked.count(owner);
  }

  get(id: string): StoredToken | undefined {
    return this.#tokens.get(id);
  }

  has(id: string): boolean {
    return !this.#revoked.has(id) && !this.#ending.has(id);
  }

  list(...page: Parameters<TokenStore["list"]>): ReturnType<TokenStore["list"]> {
    return this.#tokens.list(...page);
  }

  /** @throws AgentVmError `unauthorized` if the token's maker has been revoked */
  async add(token: StoredToken): Promise<void> {
    this.#assertValid(token.parent);
    // From now on the token counts, and a revocation of its maker finds it.
    const number = this.#tokens.add(token);
    this.#numbers.set(token.id, number);
    await this.#changes.run(async () => {
      try {
        await this.#forgetNotes();
        this.#assertValid(token.id);
        await this.#note({ number, token });
      } catch (error) {
        // Nobody has got this token.
        this.#numbers.delete(token.id);
        await this.#tokens.remove(token.id, () => undefined);
        throw error;
      }
    });
  }

  /** Forgets tokens that have expired. Their notes leave the storage with the next change. */
  forgetExpired(): void {
    for (const id of this.#tokens.forgetExpired()) {
      this.#numbers.delete(id);
      this.#expired.push(VALID + id);
    }
    for (const id of this.#revoked.forgetExpired()) this.#expired.push(REVOKED + id);
  }

  /** @throws AgentVmError `unauthorized` if the token has been revoked */
  async renew(id: string, expiresAt: number, latest: number | null): Promise<void> {
    await this.#changes.run(async () => {
      this.#assertValid(id);
      const token = this.#tokens.get(id);
      if (token === undefined) throw revoked();
      const renewed = { ...token, expiresAt: Math.max(expiresAt, token.expiresAt), latest };
      await this.#note({ number: this.#numbers.get(id), token: renewed });
      this.#tokens.renew(id, renewed.expiresAt, latest);
    });
  }

  async remove(id: string, onRemoved: (ids: readonly string[]) => void): Promise<void> {
    const ending = this.#end(id);
    try {
      await this.#changes.run(async () => {
        // A revocation that failed meanwhile has freed tokens that both had.
        for (const each of this.#end(id)) ending.add(each);
        await this.#revoke(ending);
        await this.#tokens.remove(id, onRemoved);
      });
    } finally {
      for (const each of ending) this.#ending.delete(each);
    }
  }

  /** Names the tokens that were revoked after the first ones of an epoch. */
  revokedAfter(epoch: string, after: number): RevokedPage {
    return this.#revoked.after(epoch, after);
  }

  close(): void {
    this.#tokens.close();
  }

  /** Lets nobody use a token, or the tokens that were made with it, to make or renew tokens. @returns all of them */
  #end(id: string): Set<string> {
    const family = new Set(this.#tokens.familyOf(id));
    for (const each of family) this.#ending.add(each);
    return family;
  }

  /** Notes that tokens are revoked. No renewal is under way, so none has a later end than the one that is known. */
  async #revoke(ids: ReadonlySet<string>): Promise<void> {
    const notes = new Map<string, RevokedNote>();
    for (const id of ids) {
      const token = this.#tokens.get(id);
      // Another revocation has noted the token, or nobody has got it.
      if (token !== undefined) notes.set(id, { end: token.expiresAt, owner: token.owner });
    }
    await putAll(
      this.#store,
      [...notes].map(([id, note]) => [REVOKED + id, encodeJson(note)]),
    );
    for (const [id, note] of notes) this.#revoked.add(id, note);
    await this.#store.delete([...notes.keys()].map((id) => VALID + id));
    for (const id of notes.keys()) this.#numbers.delete(id);
  }

  /** @throws AgentVmError `unauthorized` for a token that has been revoked */
  #assertValid(id: string | null): void {
    if (id !== null && !this.has(id)) throw revoked();
  }

  async #note(note: ValidNote): Promise<void> {
    await this.#store.put([[VALID + note.token.id, encodeJson(note)]]);
  }

  /** Deletes notes about tokens that have expired. */
  async #forgetNotes(): Promise<void> {
    const expired = this.#expired;
    this.#expired = [];
    if (expired.length > 0) await this.#store.delete(expired);
  }

  async #load(onDamaged: (key: string) => void): Promise<void> {
    const now = Date.now();
    const found: ValidNote[] = [];
    for await (const [key, note] of validIn(this.#store, onDamaged)) {
      if (note.token.expiresAt > now) found.push(note);
      else this.#expired.push(key);
    }
    this.#addAll(found);
    const unfinished: string[] = [];
    for await (const [key, id, note] of revokedIn(this.#store, onDamaged)) {
      if (this.#tokens.has(id)) unfinished.push(id);
      else if (note.end > now) this.#revoked.add(id, note);
      else this.#expired.push(key);
    }
    // A renewal may have come between: the note gets the last end of the token.
    for (const id of unfinished) await this.remove(id, () => undefined);
    await this.#forgetNotes();
    await this.#revokeOrphans();
  }

  /** Takes the tokens of notes, in their order. */
  #addAll(notes: ValidNote[]): void {
    const taken = new Set<number>();
    const placeOf = ({ number }: ValidNote) => number ?? Number.POSITIVE_INFINITY;
    for (const { number, token } of notes.sort((a, b) => placeOf(a) - placeOf(b))) {
      const isFree = number !== undefined && !taken.has(number);
      const place = this.#tokens.add(token, isFree ? number : undefined);
      taken.add(place);
      this.#numbers.set(token.id, place);
    }
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
