import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { AgentVmError, limitExceeded } from "../../../api/errors.ts";
import type { PreviewInfo, PreviewUrl } from "../../../api/methods/network.ts";
import { loadOnce } from "../../../base/load-once.ts";
import { PREVIEWS, previewKey } from "../../store/keys.ts";
import type { Store } from "../../store/store.ts";
import { MAX_PREVIEWS, PREVIEW_SECONDS } from "../limits.ts";

/** Characters of a new token. Names of hosts have these, without regard to case. */
const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";

/** Characters of a token: 160 random bits. */
const TOKEN_LENGTH = 32;

/** Tokens of earlier releases have upper-case letters, dashes and underscores. */
const TOKEN = /^[\w-]{32}$/;

/** Characters of the hash that form a preview's public id. */
const ID_LENGTH = 16;

interface Preview {
  hash: string;
  port: number;
  createdAt: number;
  expiresAt: number;
  /** Aborts open requests and WebSockets when the preview expires or is revoked. */
  ended: AbortController;
  timer: NodeJS.Timeout;
}

/** Port of a valid preview, and the signal that ends its requests. */
interface OpenPreview {
  port: number;
  ended: AbortSignal;
}

/**
 * Preview tokens of one VM. A token gives access to one port until it expires. Only its hash is stored, so neither the
 * data folder nor listPreviews reveals it.
 */
export class Previews {
  readonly #store: Store;
  /** Hashes of revoked previews that may still be stored. A repeated `expire` retries a delete that failed. */
  readonly #revoked = new Set<string>();
  readonly #previews = loadOnce(() => this.#read());
  #loaded: Map<string, Preview> | undefined;
  #isClosed = false;

  constructor(store: Store) {
    this.#store = store;
  }

  async create(
    port: number,
    expiresInSeconds = PREVIEW_SECONDS,
  ): Promise<Omit<PreviewUrl, "url" | "pathUrl">> {
    const previews = await this.#previews();
    if (previews.size >= MAX_PREVIEWS) {
      throw limitExceeded(
        { MAX_PREVIEWS },
        "Preview URL limit reached",
        "Revoke a URL with expireSignedPreviewUrl() first.",
      );
    }
    const token = Array.from(randomBytes(TOKEN_LENGTH), (byte) => ALPHABET[byte % ALPHABET.length]).join("");
    const createdAt = Date.now();
    const preview = { hash: hashOf(token), port, createdAt, expiresAt: createdAt + expiresInSeconds * 1000 };
    // Count the preview before it is stored, so concurrent calls cannot pass the limit.
    this.#add(previews, preview);
    try {
      await this.#store.put([[previewKey(preview.hash), encode(preview)]]);
    } catch (error) {
      this.#drop(previews, preview.hash);
      throw error;
    }
    return { path: `/request/fetch/${token}`, token, expiresAt: preview.expiresAt, port };
  }

  /** Returns the preview of a token, or `undefined` if the token is unknown, revoked or expired. */
  async open(token: string): Promise<OpenPreview | undefined> {
    if (!TOKEN.test(token)) return undefined;
    const hash = hashOf(token);
    const preview = (await this.#previews()).get(hash);
    if (preview === undefined || preview.expiresAt <= Date.now()) return undefined;
    if (!timingSafeEqual(Buffer.from(preview.hash), Buffer.from(hash))) return undefined;
    return { port: preview.port, ended: preview.ended.signal };
  }

  /** Revokes a preview by its token or by its id from `list`. Ignores unknown ones. */
  async expire(tokenOrId: string): Promise<void> {
    const previews = await this.#previews();
    const hash = hashOf(tokenOrId);
    for (const known of [...previews.keys(), ...this.#revoked]) {
      if (known !== hash && idOf(known) !== tokenOrId) continue;
      this.#drop(previews, known);
      this.#revoked.add(known);
      await this.#store.delete([previewKey(known)]);
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

  /** Cuts open requests and WebSockets. The tokens stay valid for the VM's next start. */
  close(): void {
    this.#isClosed = true;
    for (const { timer, ended } of this.#loaded?.values() ?? []) {
      clearTimeout(timer);
      ended.abort();
    }
  }

  async #read(): Promise<Map<string, Preview>> {
    const previews = new Map<string, Preview>();
    const expired: string[] = [];
    for (const [key, value] of await this.#store.list(PREVIEWS)) {
      const kept = decode(value);
      if (kept === undefined || kept.expiresAt <= Date.now()) expired.push(key);
      else this.#add(previews, { ...kept, hash: key.slice(PREVIEWS.length) });
    }
    if (expired.length > 0) await this.#store.delete(expired);
    this.#loaded = previews;
    return previews;
  }

  #add(previews: Map<string, Preview>, preview: Omit<Preview, "ended" | "timer">): void {
    const timer = setTimeout(() => {
      this.#drop(previews, preview.hash);
      // If the delete fails, the next load deletes the expired record.
      this.#store.delete([previewKey(preview.hash)]).catch(() => undefined);
    }, preview.expiresAt - Date.now()).unref();
    const ended = new AbortController();
    previews.set(preview.hash, { ...preview, ended, timer });
    if (!this.#isClosed) return;
    clearTimeout(timer);
    ended.abort();
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
    // The record has an unknown format.
    return undefined;
  }
}
