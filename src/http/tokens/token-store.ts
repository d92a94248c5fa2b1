import type { Right } from "../../api/rights.ts";
import { parseJson } from "../../base/json.ts";
import { pause } from "../../base/pace.ts";
import { DatabaseSync } from "../../base/sqlite.ts";
import { CodedDatabase } from "../../runtime/store/coded-database.ts";
import type { Scope } from "../grant.ts";

/** Rows that one step reads or deletes. */
const STEP = 500;

// A token that was revoked must not come back after a power failure, so each change is synced.
const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS tokens (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    parent TEXT,
    owner TEXT,
    claims TEXT NOT NULL,
    label TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    lifetime_ms INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    latest INTEGER
  ) STRICT;
`;

const INDEXES = `
  CREATE INDEX IF NOT EXISTS tokens_by_parent ON tokens (parent);
  CREATE INDEX IF NOT EXISTS tokens_by_owner ON tokens (owner, expires_at);
  CREATE INDEX IF NOT EXISTS tokens_by_end ON tokens (expires_at);
`;

/** Rights and VMs of a token. */
interface TokenClaims {
  may: Right[];
  vms: Scope;
}

/** A token of the server. The token itself is not stored. */
export interface StoredToken extends TokenClaims {
  id: string;
  /** Id of the token whose client made this token. It ends with that token. */
  parent: string | null;
  /** Client to which the token counts; `null`: the administrator. */
  owner: string | null;
  label: string;
  createdAt: number;
  /** Milliseconds that the token lasts from its making or renewal. */
  lifetimeMs: number;
  expiresAt: number;
  /** Time that no renewal passes, because the client that made the token had no more time; `null` without one. */
  latest: number | null;
}

interface Row {
  number: number;
  id: string;
  parent: string | null;
  owner: string | null;
  claims: string;
  label: string;
  created_at: number;
  lifetime_ms: number;
  expires_at: number;
  latest: number | null;
}

/**
 * The tokens of a data folder that have not expired and are not revoked, in SQLite. A token without a row is revoked: a
 * folder that loses the file revokes its tokens.
 */
export class TokenStore {
  readonly #db: CodedDatabase;

  /**
   * Opens the tokens of a file. Finishes a removal that an earlier server began. Every method that fails throws an AgentVmError
   * `storage_failed`.
   *
   * @param onDamage receives the first failure of a damaged file
   */
  constructor(file: string, onDamage: (error: unknown) => void = () => undefined) {
    this.#db = new CodedDatabase(() => new DatabaseSync(file), {
      name: "The file of tokens",
      remedy: "Restore it from a backup, or delete it, which revokes all tokens",
      onDamage,
    });
    this.#db.exec(SCHEMA);
    const column = "SELECT 1 FROM pragma_table_info('tokens') WHERE name = 'owner'";
    // Tokens of earlier versions count to the administrator.
    if (this.#db.prepare(column).get() === undefined)
      this.#db.exec("ALTER TABLE tokens ADD COLUMN owner TEXT");
    this.#db.exec(INDEXES);
    this.#db.prepare("DELETE FROM tokens WHERE expires_at <= ?").run(Date.now());
    const orphans = this.#db.prepare(
      "DELETE FROM tokens WHERE parent IS NOT NULL AND parent NOT IN (SELECT id FROM tokens)",
    );
    while (Number(orphans.run().changes) > 0);
  }

  /**
   * Returns the number of tokens that have not expired.
   *
   * @param owner counts the tokens of one client, or with `null` of the administrator
   * @default the tokens of all clients but the administrator
   */
  count(owner?: string | null): number {
    const whose = owner === undefined ? "owner IS NOT NULL" : "owner IS :owner";
    const { count } = this.#db
      .prepare(`SELECT COUNT(*) AS count FROM tokens WHERE ${whose} AND expires_at > :now`)
      .get({ now: Date.now(), ...(owner !== undefined && { owner }) }) as { count: number };
    return count;
  }

  /** Forgets some tokens that have expired. @returns their ids */
  forgetExpired(): string[] {
    const forget = this.#db.prepare(
      "DELETE FROM tokens WHERE number IN (SELECT number FROM tokens WHERE expires_at <= ? LIMIT ?) RETURNING id",
    );
    return idsOf(forget.all(Date.now(), STEP));
  }

  /**
   * @param number place of the token in the order of all. @default the next
   * @returns the place
   */
  add(token: StoredToken, number?: number): number {
    const { id, parent, owner, label, createdAt, lifetimeMs, expiresAt, latest, may, vms } = token;
    const { lastInsertRowid } = this.#db
      .prepare(
        "INSERT INTO tokens (number, id, parent, owner, claims, label, created_at, lifetime_ms, expires_at, latest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      )
      .run(
        ...[number ?? null, id, parent, owner, JSON.stringify({ may, vms }), label],
        ...[createdAt, lifetimeMs, expiresAt, latest],
      );
    return Number(lastInsertRowid);
  }

  has(id: string): boolean {
    return this.#db.prepare("SELECT 1 FROM tokens WHERE id = ?").get(id) !== undefined;
  }

  get(id: string): StoredToken | undefined {
    const row = this.#db.prepare("SELECT * FROM tokens WHERE id = ?").get(id) as Row | undefined;
    return row && tokenOf(row);
  }

  /** Names a token, and all tokens that were made with it. */
  familyOf(id: string): string[] {
    const family = `WITH RECURSIVE family (id) AS (
      SELECT :id UNION SELECT tokens.id FROM tokens JOIN family ON tokens.parent = family.id
    ) SELECT id FROM family`;
    return idsOf(this.#db.prepare(family).all({ id }));
  }

  /** Moves the end of a token. */
  renew(id: string, expiresAt: number, latest: number | null): void {
    this.#db.prepare("UPDATE tokens SET expires_at = ?, latest = ? WHERE id = ?").run(expiresAt, latest, id);
  }

  /**
   * Removes a token, then all tokens that were made with it. Nobody makes a token with a removed one.
   *
   * @param onRemoved receives the ids of removed tokens
   */
  async remove(id: string, onRemoved: (ids: readonly string[]) => void): Promise<void> {
    this.#db.prepare("DELETE FROM tokens WHERE id = ?").run(id);
    onRemoved([id]);
    const remove = this.#db.prepare(
      "DELETE FROM tokens WHERE number IN (SELECT number FROM tokens WHERE parent = ? LIMIT ?) RETURNING id",
    );
    const parents = [id];
    for (let parent = parents.pop(); parent !== undefined; parent = parents.pop()) {
      for (let isLast = false; !isLast; await pause()) {
        const gone = idsOf(remove.all(parent, STEP));
        onRemoved(gone);
        parents.push(...gone);
        isLast = gone.length < STEP;
      }
    }
  }

  /**
   * Lists tokens, oldest first.
   *
   * @param after number of the last token of the previous page
   * @param isShown whether the page shows a token
   */
  async list(
    limit: number,
    after: number,
    isShown: (token: StoredToken) => boolean,
  ): Promise<{ tokens: StoredToken[]; next: number | null }> {
    const select = this.#db.prepare(
      "SELECT * FROM tokens WHERE number > ? AND expires_at > ? ORDER BY number LIMIT ?",
    );
    const tokens: StoredToken[] = [];
    for (let from = after; ; await pause()) {
      const rows = select.all(from, Date.now(), STEP) as unknown as Row[];
      for (const row of rows) {
        const token = tokenOf(row);
        if (!isShown(token)) continue;
        if (tokens.length === limit) return { tokens, next: from };
        tokens.push(token);
        from = row.number;
      }
      if (rows.length < STEP) return { tokens, next: null };
      from = rows.at(-1)?.number ?? from;
    }
  }

  close(): void {
    this.#db.close();
  }
}

function idsOf(rows: readonly unknown[]): string[] {
  return (rows as Pick<Row, "id">[]).map(({ id }) => id);
}

function tokenOf(row: Row): StoredToken {
  return {
    id: row.id,
    parent: row.parent,
    owner: row.owner,
    label: row.label,
    createdAt: row.created_at,
    lifetimeMs: row.lifetime_ms,
    expiresAt: row.expires_at,
    latest: row.latest,
    ...(parseJson(row.claims) as TokenClaims),
  };
}
