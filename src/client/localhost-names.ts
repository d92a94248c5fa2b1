import type * as Dns from "node:dns";

type Lookup = (name: string, ...others: unknown[]) => void;

let isDone = false;

/**
 * Lets `fetch` and sockets of this Node process reach names below `localhost`, the host names of previews, as browsers do.
 * RFC 6761 has every resolver answer them with loopback. Glibc before nss-myhostname asks a name server, which would learn
 * the preview's token. Other names resolve as before. Does nothing in a browser.
 */
export function resolveLocalhostNames(): void {
  const { process } = globalThis as { process?: { getBuiltinModule?(name: string): unknown } };
  const dns = process?.getBuiltinModule?.("node:dns") as typeof Dns | undefined;
  if (dns === undefined || isDone) return;
  isDone = true;
  const lookup = dns.lookup as Lookup;
  const ours: Lookup = (name, ...others) =>
    lookup(/\.localhost\.?$/i.test(name) ? "localhost" : name, ...others);
  // `util.promisify` reads properties of `dns.lookup`.
  dns.lookup = Object.defineProperties(ours, Object.getOwnPropertyDescriptors(lookup)) as typeof Dns.lookup;
}
