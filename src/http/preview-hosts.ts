import { AgentVmError, invalidArgument } from "../api/errors.ts";

/** Label of a preview's host name: its token and its actor's id. Names of hosts do not distinguish case. */
const LABEL = /^([a-z2-7]{32})-([a-z0-9]{1,30})$/;

const DOMAIN = /^(?:(https?):\/\/)?\*\.([a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*)(?::(\d{1,5}))?$/;

/** Endpoints under whose port a browser on this machine also reaches every name below `localhost`. */
const LOCAL_ENDPOINT = /^(https?):\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::(\d+))?$/;

/** Longest name of a host, less a label and its dot. */
const MAX_DOMAIN_CHARS = 253 - 64;

/** The host names of previews: one label below a domain for each preview. */
export class PreviewHosts {
  readonly #protocol: string;
  readonly #suffix: string;
  readonly #port: string;

  private constructor(protocol: string, domain: string, port: string | undefined) {
    this.#protocol = protocol;
    this.#suffix = `.${domain}`;
    this.#port = port === undefined ? "" : `:${port}`;
  }

  /**
   * Reads the option `previewDomain`.
   *
   * @param domain `"*.preview.example.com"`, with or without scheme and port; `"none"`; `undefined` for the default
   * @param endpoint URL of the server, which gives a domain without scheme and port its own
   * @returns `undefined` if previews have no host names
   * @throws AgentVmError `invalid_argument`
   */
  static of(domain: string | undefined, endpoint: string): PreviewHosts | undefined {
    if (domain === "none") return undefined;
    if (domain === undefined) {
      const [, protocol, port] = LOCAL_ENDPOINT.exec(endpoint) ?? [];
      return protocol === undefined ? undefined : new PreviewHosts(protocol, "localhost", port);
    }
    const [, scheme, name, port] = DOMAIN.exec(domain.toLowerCase()) ?? [];
    if (name === undefined || name.length > MAX_DOMAIN_CHARS || Number(port ?? 1) > 65_535 || port === "0")
      throw invalidArgument("previewDomain", '"none" or a domain such as "*.preview.example.com"', domain);
    const server = new URL(endpoint);
    if (`.${server.hostname}`.endsWith(`.${name}`)) {
      throw new AgentVmError(
        "invalid_argument",
        `The server's own name ${server.hostname} is the previewDomain ${domain} or below it. Give previews a domain of their own.`,
        { argument: "previewDomain" },
      );
    }
    const own = server.port || undefined;
    return new PreviewHosts(scheme ?? server.protocol.slice(0, -1), name, port ?? (scheme ? undefined : own));
  }

  /** @returns the URL of a preview; `undefined` if its token or its actor's id cannot be part of a host name. */
  urlOf(actorId: string, token: string): string | undefined {
    const label = `${token}-${actorId}`;
    return LABEL.test(label) ? `${this.#protocol}://${label}${this.#suffix}${this.#port}/` : undefined;
  }

  /**
   * Reads a Host header.
   *
   * @returns the preview that it names; `"unknown"` for a name of the domain that names no preview; `undefined` for a name
   * outside the domain
   */
  find(host: string | undefined): { actorId: string; token: string } | "unknown" | undefined {
    const name = host?.toLowerCase().replace(/:\d*$/, "").replace(/\.$/, "");
    if (!name?.endsWith(this.#suffix)) return undefined;
    const [, token, actorId] = LABEL.exec(name.slice(0, -this.#suffix.length)) ?? [];
    return token === undefined || actorId === undefined ? "unknown" : { token, actorId };
  }
}
