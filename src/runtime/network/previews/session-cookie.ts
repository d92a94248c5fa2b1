import { createHmac, timingSafeEqual } from "node:crypto";

/** Cookie of a browser that has logged in to a preview. It never reaches the app. */
const COOKIE = "agent-vm-preview";

const VALUE = /^(\d{1,12})\.([\w-]{1,80})\.([\w-]{43})$/;

/** Login of a browser: its holder, and its end in seconds since the Unix epoch. */
interface Session {
  holder: string;
  expiresAt: number;
}

/** Signs and reads the cookies of one preview. */
export class SessionCookies {
  readonly #key: Buffer;

  /** @param key of this preview only */
  constructor(key: string) {
    this.#key = Buffer.from(key, "base64");
  }

  /**
   * Returns the `Set-Cookie` header of a login.
   *
   * @param prefix path of the preview, empty for a host name of its own
   */
  set({ holder, expiresAt }: Session, prefix: string, isSecure: boolean): string {
    const value = `${expiresAt}.${holder}`;
    const seconds = Math.max(1, Math.floor(expiresAt - Date.now() / 1000));
    const parts = [`${COOKIE}=${value}.${this.#sign(value)}`, `Path=${prefix}/`, `Max-Age=${seconds}`];
    return [...parts, "HttpOnly", "SameSite=Lax", ...(isSecure ? ["Secure"] : [])].join("; ");
  }

  /** Returns the logins that the cookies of a request name. Another site may have added cookies of the name: any valid one counts. */
  sessionsIn(cookies: readonly string[]): Session[] {
    return cookies.flatMap(pairsOf).flatMap((pair) => {
      const [, expiresAt = "", holder = "", mac = ""] = isOwn(pair)
        ? (VALUE.exec(pair.slice(pair.indexOf("=") + 1).trim()) ?? [])
        : [];
      const signed = this.#sign(`${expiresAt}.${holder}`);
      const isValid = mac !== "" && timingSafeEqual(Buffer.from(mac), Buffer.from(signed));
      return isValid && Number(expiresAt) > Date.now() / 1000
        ? [{ holder, expiresAt: Number(expiresAt) }]
        : [];
    });
  }

  #sign(value: string): string {
    return createHmac("sha256", this.#key).update(value).digest("base64url");
  }
}

/** Returns a `Cookie` header without the cookies of previews; `undefined` if nothing is left. */
export function withoutSessions(cookie: string): string | undefined {
  const kept = pairsOf(cookie).filter((pair) => !isOwn(pair));
  return kept.length === 0 ? undefined : kept.join("; ");
}

function pairsOf(cookie: string): string[] {
  return cookie
    .split(";")
    .map((pair) => pair.trim())
    .filter((pair) => pair !== "");
}

/** Parsers differ in the space that they leave around a name, and in its quotes. */
function isOwn(pair: string): boolean {
  const [name = ""] = pair.split("=");
  return name.replace(/[\s"]/g, "").toLowerCase() === COOKIE;
}
