import type { IncomingMessage } from "node:http";
import { Sealer } from "../../base/sealer.ts";
import { bearerOf } from "../access.ts";
import type { AccessControl } from "../access-control.ts";
import { type Grant, UNLIMITED } from "../grant.ts";
import { TOKEN_PREFIX } from "../tokens/tokens.ts";

/**
 * Life of a token of the console. An open page renews it.
 * @unit seconds
 * @past The console asks for a login.
 */
const LOGIN_SECONDS = 3600;

/** Label of the tokens that the console makes. */
const LABEL = "console";

/** Purpose of the key that seals cookies. */
const COOKIE = "cookies of the console";

/** Longest life of the cookie. Its token ends earlier. @unit seconds */
const COOKIE_SECONDS = 86_400;

/** Sites whose links may open the console with its login. */
const OWN_SITES: ReadonlySet<string> = new Set(["none", "same-origin"]);

/**
 * Logins of the console. A cookie that no script can read keeps the token, and only the document of the console carries
 * it. A page of a preview may share the server's origin: it can send the cookie with a request, but no request of a
 * script is a navigation of a whole tab, and a script cannot read another tab.
 */
export class ConsoleLogins {
  readonly #access: AccessControl;

  constructor(access: AccessControl) {
    this.#access = access;
  }

  /** Returns whether a request opens the console as the document of a tab. Only secure contexts say so. */
  isTab({ headers }: IncomingMessage): boolean {
    return headers["sec-fetch-dest"] === "document" && headers["sec-fetch-mode"] === "navigate";
  }

  /** Returns the token for a document of the console: of an earlier login, or a new token on a server that asks for none. */
  async tokenFor(request: IncomingMessage): Promise<string | undefined> {
    const site = request.headers["sec-fetch-site"]?.toString() ?? "cross-site";
    if (!this.isTab(request) || !OWN_SITES.has(site)) return undefined;
    const kept = this.#kept(request);
    if (kept !== undefined && (await this.#isValid(kept))) return kept;
    const header = (name: string) => (name === "host" ? request.headers.host : undefined);
    const grant = this.#access.admitOpen({ header, path: "/console", external: true });
    return grant && (await this.issue(grant));
  }

  /** Returns the token that the console uses for a client: a token of its own for the administrator, else the client's. */
  async tokenOf(grant: Grant, presented: string | undefined): Promise<string | undefined> {
    return grant.unlimited ? await this.issue(grant) : presented;
  }

  /** Revokes the token that a page of the console carries, if the console has made it. Never rejects. */
  async end(authorization: string | undefined): Promise<void> {
    const { tokens } = this.#access;
    const token = bearerOf(authorization);
    if (tokens === undefined || token === undefined || !isKept(token)) return;
    try {
      const { tokenId } = await tokens.verify(token);
      if (tokenId !== undefined && (await tokens.isMadeAs(tokenId, LABEL)))
        await tokens.revoke(UNLIMITED, tokenId);
    } catch {
      // The token has ended already, or the server cannot ask.
    }
  }

  /** Makes a token that may do everything, for a short time. */
  async issue(grant: Grant): Promise<string | undefined> {
    if (!grant.unlimited) return undefined;
    const request = {
      vms: { prefix: [""] },
      may: ["admin" as const],
      expiresIn: LOGIN_SECONDS,
      label: LABEL,
    };
    return (await this.#access.tokens?.create(UNLIMITED, request))?.token;
  }

  /** Returns a Set-Cookie header that keeps a token; without a token, a header that forgets it. */
  cookie(request: IncomingMessage, token: string | undefined): string {
    const secure = this.#access.policy.endpoint?.startsWith("https:") ? "; Secure" : "";
    const life = token === undefined ? 0 : COOKIE_SECONDS;
    const value =
      token === undefined ? undefined : this.#sealer?.seal(COOKIE, Buffer.from(token)).toString("base64url");
    return `${nameOf(request)}=${value ?? ""}; Path=/console; HttpOnly; SameSite=Strict; Max-Age=${life}${secure}`;
  }

  /** Seals the tokens of cookies: servers on other ports of the host get the cookies too. */
  get #sealer(): Sealer | undefined {
    const { tokens } = this.#access;
    return tokens && new Sealer(tokens.keyFor(COOKIE));
  }

  /** Returns the token that the cookie of a request keeps. */
  #kept(request: IncomingMessage): string | undefined {
    try {
      const token = this.#sealer?.open(COOKIE, Buffer.from(cookieOf(request), "base64url")).toString();
      return isKept(token) ? token : undefined;
    } catch {
      // Another key has sealed the cookie, or nobody has.
      return undefined;
    }
  }

  async #isValid(token: string): Promise<boolean> {
    const { tokens } = this.#access;
    if (tokens === undefined) return false;
    return await tokens.verify(token).then(
      () => true,
      () => false,
    );
  }
}

/** Returns whether a cookie may keep a token: only tokens that the server has made, which end by themselves. */
export function isKept(token: string | undefined): token is string {
  return token !== undefined && /^[\w.-]+$/.test(token) && token.startsWith(TOKEN_PREFIX);
}

function cookieOf(request: IncomingMessage): string {
  const name = `${nameOf(request)}=`;
  const pairs = (request.headers.cookie ?? "").split(/; */);
  return pairs.find((pair) => pair.startsWith(name))?.slice(name.length) ?? "";
}

/** Servers on other ports of the same host share its cookies. */
function nameOf({ headers }: IncomingMessage): string {
  const port = /:(\d+)$/.exec(headers.host ?? "")?.[1] ?? "";
  return `agent-vm-console${port}`;
}
