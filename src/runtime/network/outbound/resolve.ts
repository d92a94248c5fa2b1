import { Resolver } from "node:dns/promises";
import { readFile, stat } from "node:fs/promises";
import { kindOf } from "../../../api/network-rule.ts";
import { LOOKUP_TIMEOUT_MS } from "../limits.ts";

/** Resolves a host name to addresses. Tests replace the system's resolver. */
export type Resolve = (host: string) => Promise<string[]>;

interface ResolveOptions {
  /** @default "/etc/hosts" */
  hostsFile?: string;
  /** @default "/etc/resolv.conf" */
  resolvConf?: string;
  /** Name servers as `address:port`. @default the name servers of the system */
  servers?: string[];
  /** Milliseconds for one lookup, with its search domains. @default LOOKUP_TIMEOUT_MS */
  timeoutMs?: number;
}

/** Milliseconds in which a name server must answer one try, and the number of tries. */
const TRY_MS = 2_000;
const TRIES = 2;

/** Bytes of a configuration file that are read. A larger file counts as empty. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;

/** Search domains that are used, as in the C library. */
const MAX_SEARCH_DOMAINS = 6;

/** Codes after which the next search domain is tried: the name does not exist there. */
const ABSENT = new Set(["ENOTFOUND", "ENODATA", "ESERVFAIL"]);

/**
 * Makes a resolver that reads the hosts file, then asks the name servers through c-ares. The C library's getaddrinfo would
 * occupy one of the four threads that the whole server shares, for as long as a name server is silent.
 */
export function makeResolve(options: ResolveOptions = {}): Resolve {
  const { hostsFile = "/etc/hosts", resolvConf = "/etc/resolv.conf" } = options;
  const { timeoutMs = LOOKUP_TIMEOUT_MS, servers } = options;
  const hosts = cachedFile(hostsFile, parseHosts);
  const search = cachedFile(resolvConf, parseSearch);
  return async (host) => {
    const name = host.toLowerCase().replace(/\.$/, "");
    const known = (await hosts()).get(name);
    if (known !== undefined) return known;
    if (name === "localhost" || name.endsWith(".localhost")) return ["127.0.0.1", "::1"];
    const resolver = new Resolver({ timeout: TRY_MS, tries: TRIES });
    if (servers !== undefined) resolver.setServers(servers);
    const timer = setTimeout(() => resolver.cancel(), timeoutMs);
    const deadline = performance.now() + timeoutMs;
    let code = "ENOTFOUND";
    try {
      for (const candidate of candidatesOf(name, host.endsWith("."), await search())) {
        if (performance.now() >= deadline) throw failed(name, "ETIMEOUT");
        const found = await ask(resolver, candidate);
        if (typeof found !== "string") return found;
        if (!ABSENT.has(found)) throw failed(name, found);
        code = found;
      }
    } finally {
      clearTimeout(timer);
    }
    throw failed(name, code);
  };
}

/** Returns the addresses of a name, IPv4 first, or the code of the failure. */
async function ask(resolver: Resolver, name: string): Promise<string[] | string> {
  const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
  const addresses = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  if (addresses.length > 0) return addresses;
  const codes = answers.flatMap((answer) =>
    answer.status === "rejected" ? [(answer.reason as NodeJS.ErrnoException).code ?? "EUNKNOWN"] : [],
  );
  return codes.find((code) => !ABSENT.has(code)) ?? codes[0] ?? "ENODATA";
}

function failed(name: string, code: string): Error {
  return Object.assign(new Error(`cannot resolve ${name}: ${code}`), { code });
}

interface Search {
  domains: string[];
  /** Dots from which a name is asked for as it is before its search domains. */
  ndots: number;
}

function candidatesOf(name: string, isComplete: boolean, { domains, ndots }: Search): string[] {
  const below = isComplete ? [] : domains.map((domain) => `${name}.${domain}`);
  return name.split(".").length > ndots ? [name, ...below] : [...below, name];
}

/** Parses `/etc/hosts` into addresses by name. */
function parseHosts(text: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().toLowerCase().split(/\s+/);
    if (kindOf(address) === "name") continue;
    for (const name of names) {
      const known = found.get(name);
      if (known === undefined) found.set(name, [address]);
      else if (!known.includes(address)) known.push(address);
    }
  }
  return found;
}

/** Parses the search domains of `/etc/resolv.conf`. The last `search` or `domain` line applies. */
function parseSearch(text: string): Search {
  const found: Search = { domains: [], ndots: 1 };
  for (const line of text.split("\n")) {
    const [keyword, ...values] = line.trim().split(/\s+/);
    if (keyword === "search" || keyword === "domain") {
      const domains = values.map((domain) => domain.toLowerCase().replace(/\.$/, ""));
      found.domains = domains.filter((domain) => domain !== "").slice(0, MAX_SEARCH_DOMAINS);
    }
    if (keyword !== "options") continue;
    for (const value of values) found.ndots = Number(/^ndots:(\d{1,2})$/.exec(value)?.[1] ?? found.ndots);
  }
  return found;
}

/** Returns a function that reads a file again only after the file has changed. A missing file is empty. */
function cachedFile<Parsed>(path: string, parse: (text: string) => Parsed): () => Promise<Parsed> {
  let version = "";
  let parsed: Promise<Parsed> | undefined;
  return async () => {
    const { mtimeMs, size } = await stat(path).catch(() => ({ mtimeMs: 0, size: 0 }));
    const seen = `${mtimeMs} ${size}`;
    if (parsed === undefined || seen !== version) {
      version = seen;
      const text = size > MAX_FILE_BYTES ? Promise.resolve("") : readFile(path, "utf8").catch(() => "");
      parsed = text.then(parse);
    }
    return await parsed;
  };
}
