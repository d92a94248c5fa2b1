import { hash as digest, randomBytes, timingSafeEqual } from "node:crypto";
import { AgentVmError, limitExceeded } from "../../../api/errors.ts";
import type { Preview as MadePreview, PreviewInfo, PreviewOptions } from "../../../api/methods/previews.ts";
import { loadOnce } from "../../../base/load-once.ts";
import { Mutex } from "../../../base/mutex.ts";
import type { Sealer } from "../../../base/sealer.ts";
import { GUARDED_PREVIEWS, guardedPreviewKey, PREVIEWS, previewKey } from "../../store/keys.ts";
import type { Store } from "../../store/store.ts";
import { MAX_PREVIEWS } from "../limits.ts";
import { PreviewGuard } from "./guard.ts";
import { isSame, recordOf } from "./make-record.ts";
import {
  decodeRecord,
  encodeRecord,
  infoOf,
  isPlain,
  type PreviewRecord,
  type PreviewSettings,
} from "./preview-record.ts";

/** Characters of a new token. Names of hosts have these, without regard to case. */
const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";

/** Characters of a token: 160 random bits. */
const TOKEN_LENGTH = 32;

/** Tokens of earlier releases have upper-case letters, dashes and underscores. */
const TOKEN = /^[\w-]{32}$/;

/** Characters of the hash that form a preview's public id. */
const ID_LENGTH = 16;

/** Longest time of a timer of Node. */
const MAX_TIMER_MS = 2_147_483_647;

interface Kept {
  hash: string;
  record: PreviewRecord;
  /** Asks visitors for a password or token. */
  guard: PreviewGuard | undefined;
  /** Aborts open requests and WebSockets when the preview changes, expires or is revoked. */
  ended: AbortController;
  timer: NodeJS.Timeout | undefined;
}

/** A valid preview, and the signal that ends its requests. */
export interface OpenPreview {
  id: string;
  name: string | undefined;
  port: number;
  settings: PreviewSettings;
  guard: PreviewGuard | undefined;
  ended: AbortSignal;
}

/**
 * Previews of one VM. A token opens one port until it expires. Only its hash is stored, and the token of a preview with a name
 * encrypted, so neither the data folder nor listPreviews reveals it.
 */
export class Previews {
  readonly #store: Store;
  readonly #sealer: Sealer | undefined;
  /** Hashes of revoked previews that may still be stored. A repeated `expire` retries a delete that failed. */
  readonly #revoked = new Set<string>();
  readonly #previews = loadOnce(() => this.#read());
  /** Two calls with one name make one preview. */
  readonly #changes = new Mutex();
  #loaded: Map<string, Kept> | undefined;
  #isClosed = false;

  /** @param sealer encrypts the tokens of previews with names. @default names are refused */
  constructor(store: Store, sealer?: Sealer) {
    this.#store = store;
    this.#sealer = sealer;
  }

  /** Makes a preview, or changes the preview that has the name. */
  async create(port: number, options: PreviewOptions = {}): Promise<Omit<MadePreview, "url" | "pathUrl">> {
    return await this.#changes.run(async () => {
      const previews = await this.#previews();
      const { name } = options;
      const sealer = name === undefined ? undefined : this.#requireSealer();
      const known = name && [...previews.values()].find(({ record }) => record.name === name);
      const opened = known && sealer && openToken(sealer, known);
      const token = opened || newToken();
      const kept = opened ? known : undefined;
      if (kept === undefined && previews.size >= MAX_PREVIEWS) {
        throw limitExceeded(
          { MAX_PREVIEWS },
          "Preview URL limit reached",
          "Revoke a URL with expireSignedPreviewUrl() first.",
        );
      }
      const hash = hashOf(token);
      const record = await recordOf(port, options, kept?.record);
      const sealed = sealer?.seal(guardedPreviewKey(hash), Buffer.from(token)).toString("base64");
      await this.#put(previews, { hash, record: { ...record, ...(sealed !== undefined && { sealed }) } });
      // A token that the server's present key cannot open has another one in its place.
      if (known && kept === undefined) await this.#revoke(previews, known.hash);
      const id = idOf(hash);
      const path = `/request/fetch/${token}`;
      return { path, token, expiresAt: record.expiresAt, port, id, ...(name !== undefined && { name }) };
    });
  }

  /** Returns the preview of a token, or `undefined` if the token is unknown, revoked or expired. */
  async open(token: string): Promise<OpenPreview | undefined> {
    if (!TOKEN.test(token)) return undefined;
    const hash = hashOf(token);
    const preview = (await this.#previews()).get(hash);
    if (preview === undefined || preview.record.expiresAt <= Date.now()) return undefined;
    if (!timingSafeEqual(Buffer.from(preview.hash), Buffer.from(hash))) return undefined;
    const { record, guard, ended } = preview;
    const { port, name, settings } = record;
    return { id: idOf(hash), name, port, settings, guard, ended: ended.signal };
  }

  /** Revokes a preview by its token, its name, or its id from `list`. Ignores unknown ones. */
  async expire(preview: string): Promise<void> {
    await this.#changes.run(async () => {
      const previews = await this.#previews();
      const hash = hashOf(preview);
      for (const known of [...previews.keys(), ...this.#revoked]) {
        const isNamed = previews.get(known)?.record.name === preview;
        if (known === hash || idOf(known) === preview || isNamed) await this.#revoke(previews, known);
      }
    });
  }

  async list(): Promise<PreviewInfo[]> {
    const now = Date.now();
    return [...(await this.#previews()).values()]
      .filter(({ record }) => record.expiresAt > now)
      .sort((a, b) => a.record.createdAt - b.record.createdAt)
      .map(({ hash, record }) => infoOf(idOf(hash), record));
  }

  /** Cuts open requests and WebSockets. The tokens stay valid for the VM's next start. */
  close(): void {
    this.#isClosed = true;
    for (const { timer, ended } of this.#loaded?.values() ?? []) {
      clearTimeout(timer);
      ended.abort();
    }
  }

  #requireSealer(): Sealer {
    if (this.#sealer !== undefined) return this.#sealer;
    throw new AgentVmError(
      "not_supported",
      "This server has no key to store the URL of a preview with a name",
      {
        hint: "Set AGENT_VM_SECRET on the server, or leave out the name.",
      },
    );
  }

  async #read(): Promise<Map<string, Kept>> {
    const previews = new Map<string, Kept>();
    const expired: string[] = [];
    for (const prefix of [PREVIEWS, GUARDED_PREVIEWS]) {
      for (const [key, value] of await this.#store.list(prefix)) {
        const record = decodeRecord(value);
        if (record === undefined || record.expiresAt <= Date.now()) expired.push(key);
        else this.#add(previews, { hash: key.slice(prefix.length), record });
      }
    }
    if (expired.length > 0) await this.#store.delete(expired);
    this.#loaded = previews;
    return previews;
  }

  async #put(previews: Map<string, Kept>, { hash, record }: Pick<Kept, "hash" | "record">): Promise<void> {
    const before = previews.get(hash);
    // Count a new preview before it is stored, so concurrent calls cannot pass the limit.
    if (before === undefined) this.#add(previews, { hash, record });
    try {
      await this.#store.put([[keyOf(hash, record), encodeRecord(record)]]);
    } catch (error) {
      if (before === undefined) this.#drop(previews, hash);
      throw error;
    }
    if (before === undefined || !previews.has(hash)) return;
    if (isSame(before.record, record)) {
      before.record = record;
      this.#arm(previews, before);
    } else {
      this.#drop(previews, hash, "The preview has changed");
      this.#add(previews, { hash, record });
    }
  }

  #add(previews: Map<string, Kept>, { hash, record }: Pick<Kept, "hash" | "record">): void {
    const { lock, settings } = record;
    const kept: Kept = { hash, record, guard: undefined, ended: new AbortController(), timer: undefined };
    if (lock !== undefined)
      kept.guard = new PreviewGuard(lock, settings.access === "token", () => kept.record.expiresAt);
    previews.set(hash, kept);
    if (this.#isClosed) kept.ended.abort();
    else this.#arm(previews, kept);
  }

  #arm(previews: Map<string, Kept>, kept: Kept): void {
    clearTimeout(kept.timer);
    const left = kept.record.expiresAt - Date.now();
    kept.timer = setTimeout(
      () => {
        if (left > MAX_TIMER_MS) return this.#arm(previews, kept);
        this.#drop(previews, kept.hash);
        // If the delete fails, the next load deletes the expired record.
        this.#store.delete([keyOf(kept.hash, kept.record)]).catch(() => undefined);
      },
      Math.min(left, MAX_TIMER_MS),
    ).unref();
  }

  async #revoke(previews: Map<string, Kept>, hash: string): Promise<void> {
    this.#drop(previews, hash);
    this.#revoked.add(hash);
    await this.#store.delete([previewKey(hash), guardedPreviewKey(hash)]);
    this.#revoked.delete(hash);
  }

  #drop(previews: Map<string, Kept>, hash: string, why = "The preview URL has expired"): void {
    const preview = previews.get(hash);
    previews.delete(hash);
    clearTimeout(preview?.timer);
    preview?.ended.abort(new AgentVmError("preview_denied", why));
  }
}

function keyOf(hash: string, record: PreviewRecord): string {
  return isPlain(record) ? previewKey(hash) : guardedPreviewKey(hash);
}

function openToken(sealer: Sealer, { hash, record }: Kept): string | undefined {
  try {
    return sealer.open(guardedPreviewKey(hash), Buffer.from(record.sealed ?? "", "base64")).toString();
  } catch {
    // The server's key has changed.
    return undefined;
  }
}

function newToken(): string {
  return Array.from(randomBytes(TOKEN_LENGTH), (byte) => ALPHABET[byte % ALPHABET.length]).join("");
}

function hashOf(token: string): string {
  return digest("sha256", token);
}

function idOf(hash: string): string {
  return hash.slice(0, ID_LENGTH);
}
