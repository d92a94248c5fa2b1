import type { SecretPart, VmSecret } from "../../../../api/methods/secrets.ts";
import { canonicalHost, parseSecretHost, type SecretHost } from "../../../../api/network-rule.ts";

/** Text that stands for a value in the headers and parameters of a secret. */
const VALUE = "{secret}";

/** Credentials for requests to some hosts. */
export interface Credential {
  /** Name of the secret; `undefined` for headers of the actor's option `headers`. */
  name: string | undefined;
  value: string;
  headers: [name: string, value: string][];
  query: [name: string, value: string][];
  placeholderIn: ReadonlySet<SecretPart>;
  mask: boolean;
  hosts: SecretHost[];
  /** `undefined`: all. */
  methods: ReadonlySet<string> | undefined;
  paths: readonly string[] | undefined;
}

/** A destination that a credential names. */
export interface CredentialPlace {
  /** `true` if the server speaks TLS to it. */
  isTls: boolean;
  /** Port outside. */
  port: number;
  credentials: readonly Credential[];
}

/** The credentials of one VM, and the destinations that they name. */
export class CredentialRules {
  readonly #credentials: readonly Credential[];

  /**
   * @param headers added headers by origin, an option of the actor
   * @param secrets secrets by name
   */
  constructor(
    headers: Readonly<Record<string, Record<string, string>>>,
    secrets: Readonly<Record<string, VmSecret>>,
  ) {
    this.#credentials = [
      ...Object.entries(headers).map(([origin, added]) => fixed(origin, added)),
      ...Object.entries(secrets).map(([name, secret]) => compile(name, secret)),
    ];
  }

  /** Whether the server may open encrypted connections. */
  get opensTls(): boolean {
    return this.#credentials.some(({ hosts }) => hosts.some(({ isTls }) => isTls));
  }

  /** Variables of commands: the placeholders. */
  get env(): Record<string, string> {
    const named = this.#credentials.filter(
      ({ name, placeholderIn }) => name !== undefined && placeholderIn.size > 0,
    );
    return Object.fromEntries(named.map(({ name }) => [name, placeholderOf(name as string)]));
  }

  /**
   * Returns how the server reaches a destination with credentials. A program that requests `http://` from a host for https
   * gets there too.
   *
   * @param port port that the program wants
   * @returns `undefined` for a destination that no credential names
   */
  placeOf({ host, port }: { host: string; port: number }): CredentialPlace | undefined {
    const canonical = canonicalHost(host);
    if (canonical === undefined) return undefined;
    const at = (wanted: number, isTls: boolean) =>
      this.#credentials.filter(({ hosts }) =>
        hosts.some((one) => one.port === wanted && one.isTls === isTls && matches(one, canonical)),
      );
    const tls = at(port, true);
    if (tls.length > 0) return { isTls: true, port, credentials: tls };
    const plain = at(port, false);
    if (plain.length > 0) return { isTls: false, port, credentials: plain };
    const upgraded = port === 80 ? at(443, true) : [];
    return upgraded.length > 0 ? { isTls: true, port: 443, credentials: upgraded } : undefined;
  }
}

/** Text that programs use in place of a secret. */
function placeholderOf(name: string): string {
  return `AGENT_SECRET_${name}`;
}

/** Returns the credentials for one request. @param target path and query as the program sent them */
export function credentialsFor(place: CredentialPlace, method: string, target: string): Credential[] {
  const path = target.replace(/[?#].*$/s, "");
  return place.credentials.filter(
    ({ methods, paths }) =>
      (methods?.has(method) ?? true) && (paths?.some((wanted) => matchesPath(wanted, path)) ?? true),
  );
}

/**
 * A server may read another path than this one from dots, doubled slashes and encoded separators. Such a path matches no
 * rule.
 */
function matchesPath(wanted: string, path: string): boolean {
  if (/\/\/|\\|;|%(?:2e|2f|5c|25|00)|\/\.{1,2}(?:\/|$)/i.test(path)) return false;
  return wanted.endsWith("*") ? path.startsWith(wanted.slice(0, -1)) : path === wanted;
}

function matches({ host: wanted, isBelow }: SecretHost, host: string): boolean {
  return isBelow ? host.endsWith(`.${wanted}`) : host === wanted;
}

function fixed(origin: string, headers: Record<string, string>): Credential {
  return {
    name: undefined,
    value: "",
    headers: Object.entries(headers),
    query: [],
    placeholderIn: new Set(),
    mask: false,
    hosts: parsed([origin]),
    methods: undefined,
    paths: undefined,
  };
}

function compile(name: string, secret: VmSecret): Credential {
  const { value, hosts, methods, paths, headers = {}, query = {}, basicUser, mask = false } = secret;
  const fill = (given: Record<string, string>) =>
    Object.entries(given).map(([key, text]): [string, string] => [key, text.replaceAll(VALUE, () => value)]);
  const basic: [string, string][] =
    basicUser === undefined
      ? []
      : [["authorization", `Basic ${Buffer.from(`${basicUser}:${value}`).toString("base64")}`]];
  const carried = { headers: [...fill(headers), ...basic], query: fill(query) };
  const isCarried = carried.headers.length + carried.query.length > 0;
  return {
    name,
    value,
    ...carried,
    placeholderIn: new Set(secret.placeholderIn ?? (isCarried ? [] : ["headers"])),
    mask,
    hosts: parsed(hosts),
    methods: methods && new Set(methods),
    paths,
  };
}

function parsed(hosts: readonly string[]): SecretHost[] {
  return hosts.flatMap((text) => parseSecretHost(text) ?? []);
}
