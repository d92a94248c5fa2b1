import { hash } from "node:crypto";

/** Characters of the hash in a name. Two previews of one server have different hashes. */
const HASH_LENGTH = 16;

/**
 * The cookies of an app below a path, where all cookies of the server's origin are. A cookie of the app has a prefix before its name in
 * the browser, and the app gets only cookies with this prefix: another cookie may be a login to the server.
 */
export class AppCookies {
  readonly #path: string;
  readonly #prefix: string;

  /** @param path path of the preview as the browser sees it, without a final slash */
  constructor(path: string) {
    this.#path = path;
    this.#prefix = `agent-vm-app-${hash("sha256", path).slice(0, HASH_LENGTH)}-`;
  }

  /** Returns a `Set-Cookie` header that sets the app's cookie for this preview only. */
  toBrowser(cookie: string): string {
    const { pair, attributes, path = "/" } = parse(cookie);
    // A browser takes a name with `__Host-` only for the path `/`. With the prefix it is a name like others.
    const named = pair.includes("=") ? pair.trimStart() : `=${pair.trim()}`;
    return [this.#prefix + named, ...attributes, ` Path=${this.#path}${path}`].join(";");
  }

  /** Returns a `Cookie` header with the app's own cookies, under the names that the app has given them; `undefined` if there are none. */
  toApp(cookie: string): string | undefined {
    const own = cookie
      .split(";")
      .map((pair) => pair.trim())
      .filter((pair) => pair.startsWith(this.#prefix))
      .map((pair) => pair.slice(this.#prefix.length).replace(/^=/, ""));
    return own.length === 0 ? undefined : own.join("; ");
  }
}

/** Returns a `Set-Cookie` header without its domain, for a preview with a host name. */
export function withoutDomain(cookie: string): string {
  const { pair, attributes, path } = parse(cookie);
  // A browser gives a cookie without a path the folder of the request.
  return [pair, ...attributes, ...(path === undefined ? [] : [` Path=${path}`])].join(";");
}

/** Splits a `Set-Cookie` header, without its domain. */
function parse(cookie: string): { pair: string; attributes: string[]; path: string | undefined } {
  const [pair = "", ...given] = cookie.split(";");
  let path: string | undefined;
  const attributes = given.filter((attribute) => {
    const [name = "", value = ""] = attribute.split("=", 2);
    const key = name.trim().toLowerCase();
    if (key === "path" && value.trim().startsWith("/")) path = value.trim();
    return key !== "path" && key !== "domain";
  });
  return { pair, attributes, path };
}
