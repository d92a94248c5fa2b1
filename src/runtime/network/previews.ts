import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { AgentVmError, limitExceeded } from "../../api/errors.ts";
import { MAX_PREVIEWS, PREVIEW_SECONDS } from "../../api/limits.ts";
import type { PreviewInfo, PreviewUrl } from "../../api/types.ts";
import type { Store } from "../store.ts";

/** 192 bits; 32 characters in a URL. */
const TOKEN_BYTES = 24;
const TOKEN = /^[\w-]{32}$/;

/** Keys of this room's, with the hash of a token as their end. */
const PREFIX = "net/preview/";

/** Characters of a hash that name a preview to people. */
const ID_LENGTH = 16;

interface Preview {
  hash: string;
  port: number;
  createdAt: number;
  expiresAt: number;
  /** Ends what goes through it when it expires or is revoked. */
  ended: AbortController;
  timer: NodeJS.Timeout;
}

/** Where a preview leads, and when that ends. */
export interface OpenPreview {
  port: number;
  ended: AbortSignal;
}

/**
 * The preview tokens of one VM. Whoever has a token reaches one port until it expires; only its hash is stored, so that
 * neither the data folder nor listPreviews gives one away.
 */
export class Previews {
  readonly #store: Store;
  /** Hashes of those that are over and may still be stored: a revocation that failed is made good by the next one. */
  readonly #revoked = new Set<string>();
  #loaded: Promise<Map<string, Preview>> | undefined;
  #isClosed = false;

  constructor(store: Store) {
    this.#store = store;
  }

  async create(port: number, expiresInSeconds = PREVIEW_SECONDS): Promise<Omit<PreviewUrl, "url">> {
    const previews = await this.#previews();
    if (previews.size >= MAX_PREVIEWS) {
      throw limitExceeded("MAX_PREVIEWS", MAX_PREVIEWS, "The VM has as many preview URLs as it can");
    }
    const token = randomBytes(TOKEN_BYTES).toString("base64url");
    const createdAt = Date.now();
    const preview = { hash: hashOf(token), port, createdAt, expiresAt: createdAt + expiresInSeconds * 1000 };
    // Counted before it is written: a hundred at once do not pass the limit.
    this.#add(previews, preview);
    try {
      await this.#store.put([[PREFIX + preview.hash, encode(preview)]]);
    } catch (error) {
      this.#drop(previews, preview.hash);
      throw error;
    }
    return { path: `/request/fetch/${token}`, token, expiresAt: preview.expiresAt, port };
  }

  /** The preview that a token opens; `undefined` for one that is unknown, revoked or too old. */
  async open(token: string): Promise<OpenPreview | undefined> {
    if (!TOKEN.test(token)) return undefined;
    const hash = hashOf(token);
    const preview = (await this.#previews()).get(hash);
    if (preview === undefined || preview.expiresAt <= Date.now()) return undefined;
    if (!timingSafeEqual(Buffer.from(preview.hash), Buffer.from(hash))) return undefined;
    return { port: preview.port, ended: preview.ended.signal };
  }

  /** By its token, or by the id that `list` tells. Unknown ones are fine. */
  async expire(tokenOrId: string): Promise<void> {
    const previews = await this.#previews();
    const hash = hashOf(tokenOrId);
    for (const known of [...previews.keys(), ...this.#revoked]) {
      if (known !== hash && idOf(known) !== tokenOrId) continue;
      this.#drop(previews, known);
      this.#revoked.add(known);
      await this.#store.delete([PREFIX + known]);
      this.#revoked.delete(known);
    }
  }

  async list(): Promise<PreviewInfo[]> {
    const now = Date.now();
    return [...(await this.#previews()).values()]
      .filter(({ expiresAt }) => expiresAt > now)
      .sort((a, b) => a.createdAt - b.createdAt)
      .map(({ hash, port, createdAt, expiresAt }) => ({ id: idOf(hash), port, createdAt, expiresAt }));
  }

  /** Cuts what goes through them; the tokens stay, for the VM's next life. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const previews = await this.#loaded?.catch(() => undefined);
    for (const { timer, ended } of previews?.values() ?? []) {
      clearTimeout(timer);
      ended.abort();
    }
  }

  #previews(): Promise<Map<string, Preview>> {
    if (this.#loaded === undefined) {
      this.#loaded = this.#load();
      this.#loaded.catch(() => {
        this.#loaded = undefined;
      });
    }
    return this.#loaded;
  }

  async #load(): Promise<Map<string, Preview>> {
    const previews = new Map<string, Preview>();
    const expired: string[] = [];
    for (const [key, value] of await this.#store.list(PREFIX)) {
      const kept = decode(value);
      if (kept === undefined || kept.expiresAt <= Date.now()) expired.push(key);
      else this.#add(previews, { ...kept, hash: key.slice(PREFIX.length) });
    }
    if (expired.length > 0) await this.#store.delete(expired);
    return previews;
  }

  #add(previews: Map<string, Preview>, preview: Omit<Preview, "ended" | "timer">): void {
    const timer = setTimeout(() => {
      this.#drop(previews, preview.hash);
      // One that cannot be deleted now is, as expired, with the next load.
      this.#store.delete([PREFIX + preview.hash]).catch(() => undefined);
    }, preview.expiresAt - Date.now()).unref();
    previews.set(preview.hash, { ...preview, ended: new AbortController(), timer });
    if (this.#isClosed) clearTimeout(timer);
  }

  #drop(previews: Map<string, Preview>, hash: string): void {
    const preview = previews.get(hash);
    previews.delete(hash);
    clearTimeout(preview?.timer);
    preview?.ended.abort(new AgentVmError("preview_denied", "The preview URL has expired"));
  }
}

function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

function idOf(hash: string): string {
  return hash.slice(0, ID_LENGTH);
}

function encode({
  port,
  createdAt,
  expiresAt,
}: Pick<Preview, "port" | "createdAt" | "expiresAt">): Uint8Array {
  return Buffer.from(JSON.stringify({ port, createdAt, expiresAt }));
}

function decode(value: Uint8Array): Pick<Preview, "port" | "createdAt" | "expiresAt"> | undefined {
  try {
    const { port, createdAt, expiresAt } = JSON.parse(Buffer.from(value).toString());
    return { port: Number(port), createdAt: Number(createdAt), expiresAt: Number(expiresAt) };
  } catch {
    // Not of this version's making.
    return undefined;
  }
}
