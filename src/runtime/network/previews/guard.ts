import { createHmac, randomBytes } from "node:crypto";
import { AgentVmError, limitExceeded } from "../../../api/errors.ts";
import { MAX_PREVIEW_ATTEMPTS, PREVIEW_SESSION_SECONDS } from "../limits.ts";
import { headerValues } from "../requests/end-to-end.ts";
import { Attempts } from "./attempts.ts";
import { dropAuthorization } from "./authorization.ts";
import { LOGIN_HEADERS, loginPage, passwordIn } from "./login-page.ts";
import { isPassword } from "./password.ts";
import type { PreviewLock } from "./preview-record.ts";
import { CORS, jsonAnswer, opensPage, type PreviewAnswer } from "./refusals.ts";
import { SessionCookies, withoutSessions } from "./session-cookie.ts";

/** Holder of a password's session. */
const BY_PASSWORD = "password";

/** Compares passwords that were right before. Ends with the process. */
const digestKey = randomBytes(32);

/** Somebody whom a token of the server names. */
export interface TokenHolder {
  /** Letters, digits, dashes and underscores, at most 80. */
  holder: string;
  /** Latest end of a login with the token, in milliseconds since the Unix epoch. */
  expiresAt?: number | undefined;
  /** End of the token, in milliseconds since the Unix epoch. */
  endsAt?: number | undefined;
}

/** The tokens of the server that open a VM's previews. */
export interface PreviewKeys {
  /** @returns `undefined` for a token that does not open them */
  holderOf(token: string): Promise<TokenHolder | undefined>;
  /** Returns whether the token of a holder is still valid. */
  isValid(holder: string): Promise<boolean>;
  /** Calls `end` when the token of a holder ends. @returns a function that forgets it */
  watch(holder: Pick<TokenHolder, "holder" | "endsAt">, end: () => void): () => void;
}

/** A request to a locked preview. */
export interface Knock {
  method: string;
  rawHeaders: readonly string[];
  /** Path of the preview as the browser sees it, without a final slash. Empty for a preview with a host name. */
  prefix: string;
  /** Whether the browser speaks TLS. */
  isSecure: boolean;
  /** Path and query for the app. */
  path: string;
  /** Reads a form of at most MAX_FORM_BYTES. */
  form(): Promise<string | undefined>;
  keys?: PreviewKeys | undefined;
}

/** The headers with which a request goes on, or the answer in the app's place. */
export type Verdict =
  | { rawHeaders: string[]; by?: Pick<TokenHolder, "holder" | "endsAt"> | undefined }
  | { answer: PreviewAnswer };

type Tried = TokenHolder | "wrong" | "busy";

/** Asks the visitors of one preview for its password or for a token of the server. */
export class PreviewGuard {
  readonly #lock: PreviewLock;
  readonly #takesTokens: boolean;
  readonly #endsAt: () => number;
  readonly #cookies: SessionCookies;
  readonly #attempts = new Attempts();
  /** Decisions under way, by the digest of what was sent: a page of many requests is one attempt. */
  readonly #deciding = new Map<string, Promise<Tried>>();
  /** Digest of the right password, once a visitor has sent it. Hashing takes 40 ms for each request. */
  #known: string | undefined;

  /** @param endsAt returns the end of the preview, in milliseconds since the Unix epoch */
  constructor(lock: PreviewLock, takesTokens: boolean, endsAt: () => number) {
    this.#lock = lock;
    this.#takesTokens = takesTokens;
    this.#endsAt = endsAt;
    this.#cookies = new SessionCookies(lock.key);
  }

  async admit(knock: Knock): Promise<Verdict> {
    const { rawHeaders, keys } = knock;
    for (const { holder, expiresAt } of this.#cookies.sessionsIn(headerValues(rawHeaders, "cookie"))) {
      if (!(await this.#holds(holder, keys))) continue;
      const by = holder === BY_PASSWORD ? undefined : { holder, endsAt: expiresAt * 1000 };
      return { rawHeaders: stripped(rawHeaders), by };
    }
    const [authorization = ""] = headerValues(rawHeaders, "authorization");
    const sent = secretIn(authorization);
    if (sent !== undefined) {
      const tried = await this.#try(sent, keys);
      const by = typeof tried === "string" || tried.holder === BY_PASSWORD ? undefined : tried;
      if (typeof tried !== "string") return { rawHeaders: stripped(rawHeaders, authorization), by };
      return this.#refuse(knock, tried);
    }
    if (knock.method === "OPTIONS") return { answer: { status: 204, headers: CORS, body: "" } };
    const [type = ""] = headerValues(rawHeaders, "content-type");
    const isForm = knock.method === "POST" && /^application\/x-www-form-urlencoded\b/i.test(type);
    const password = isForm ? passwordIn((await knock.form()) ?? "") : undefined;
    if (password === undefined) return this.#refuse(knock, undefined);
    const tried = await this.#try(password, keys);
    return typeof tried === "string" ? this.#refuse(knock, tried) : { answer: this.#welcome(knock, tried) };
  }

  async #holds(holder: string, keys: PreviewKeys | undefined): Promise<boolean> {
    if (holder === BY_PASSWORD) return this.#lock.password !== undefined;
    return this.#takesTokens && (await keys?.isValid(holder)) === true;
  }

  async #try(secret: string, keys: PreviewKeys | undefined): Promise<Tried> {
    const digest = createHmac("sha256", digestKey).update(secret).digest("hex");
    const deciding = this.#deciding.get(digest);
    if (deciding !== undefined) return await deciding;
    if (this.#attempts.isLocked) return "busy";
    this.#attempts.begin();
    const decision = this.#decide(secret, digest, keys).finally(() => this.#deciding.delete(digest));
    this.#deciding.set(digest, decision);
    const tried = await decision;
    if (typeof tried !== "string") this.#attempts.forgive();
    return tried;
  }

  async #decide(secret: string, digest: string, keys: PreviewKeys | undefined): Promise<Tried> {
    const { password } = this.#lock;
    // The digests are of a key that only this process knows, so that the time to compare them says nothing.
    const isRight =
      password !== undefined &&
      (this.#known === undefined ? await isPassword(secret, password) : this.#known === digest);
    if (isRight) {
      this.#known = digest;
      return { holder: BY_PASSWORD };
    }
    return (this.#takesTokens ? await keys?.holderOf(secret) : undefined) ?? "wrong";
  }

  /** Lets a browser in that has sent the form: it opens the same URL again, with a cookie. */
  #welcome(
    { path, prefix, isSecure }: Knock,
    { holder, expiresAt = Number.POSITIVE_INFINITY }: TokenHolder,
  ): PreviewAnswer {
    const latest = Math.min(Date.now() + PREVIEW_SESSION_SECONDS * 1000, this.#endsAt(), expiresAt);
    const cookie = this.#cookies.set({ holder, expiresAt: Math.floor(latest / 1000) }, prefix, isSecure);
    // A Location relative to the folder can name no other host.
    const [folder = "", query = ""] = path.split(/(\?.*)/s);
    const location = `./${folder.slice(folder.lastIndexOf("/") + 1)}${query}`;
    return {
      status: 303,
      headers: { location, "set-cookie": cookie, "cache-control": "no-store" },
      body: "",
    };
  }

  #refuse({ method, rawHeaders }: Knock, why: "wrong" | "busy" | undefined): { answer: PreviewAnswer } {
    const names = [...(this.#lock.password ? ["password"] : []), ...(this.#takesTokens ? ["token"] : [])];
    const asked = names.join(" or ");
    const error = errorOf(asked, why);
    const retry: Record<string, string> =
      why === "busy" ? { "retry-after": String(this.#attempts.waitSeconds) } : {};
    const [accept] = headerValues(rawHeaders, "accept");
    const isPage = opensPage({ method: method === "POST" ? "GET" : method, headers: { accept } });
    if (isPage) {
      const problem = why === undefined ? undefined : error.message;
      return {
        answer: {
          status: error.status,
          headers: { ...LOGIN_HEADERS, ...retry },
          body: loginPage(asked, problem),
        },
      };
    }
    // Only programs learn of Basic authentication: a browser would open a dialogue for a page's request.
    const challenge: Record<string, string> =
      headerValues(rawHeaders, "sec-fetch-mode").length > 0
        ? {}
        : { "www-authenticate": 'Basic realm="preview", charset="UTF-8"' };
    return { answer: jsonAnswer(error, { ...retry, ...(error.status === 401 ? challenge : {}) }) };
  }
}

function errorOf(asked: string, why: "wrong" | "busy" | undefined): AgentVmError {
  if (why === "busy")
    return limitExceeded({ MAX_PREVIEW_ATTEMPTS }, "Too many wrong passwords or tokens", "Wait a minute.");
  return new AgentVmError(
    "preview_locked",
    why === "wrong" ? `The ${asked} is wrong` : `The preview needs a ${asked}`,
  );
}

/** Returns the password or token of an `Authorization` header. */
function secretIn(authorization: string): string | undefined {
  const [, scheme = "", value = ""] = /^(basic|bearer) +(\S+) *$/i.exec(authorization) ?? [];
  if (scheme.toLowerCase() !== "basic") return value || undefined;
  const decoded = Buffer.from(value, "base64").toString();
  return decoded.includes(":") ? decoded.slice(decoded.indexOf(":") + 1) : undefined;
}

/**
 * Returns the headers of a request for the app: without the preview's cookie, without passwords, and without the header that
 * has opened the preview.
 */
function stripped(rawHeaders: readonly string[], used?: string): string[] {
  const kept: string[] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const [name = "", value = ""] = [rawHeaders[at], rawHeaders[at + 1]];
    const shown = name.toLowerCase() === "cookie" ? withoutSessions(value) : value;
    if (shown !== undefined) kept.push(name, shown);
  }
  dropAuthorization(kept, (value) => value === used || /^\s*basic\b/i.test(value));
  return kept;
}
