import type { Env } from "../../../api/types.ts";

/** What never goes through the proxy: the VM itself. */
const INSIDE = "localhost,127.0.0.1,::1";

/**
 * Variables that lead programs to the proxy. ALL_PROXY names HTTP as well: Python's httpx fails at its start for a
 * SOCKS proxy without an extra package. The proxy speaks SOCKS 5 on the same port to those who ask for it.
 */
export function proxyEnv(port: number): Env {
  const url = `http://127.0.0.1:${port}`;
  const both = { HTTP_PROXY: url, HTTPS_PROXY: url, ALL_PROXY: url, NO_PROXY: INSIDE };
  const lower = Object.fromEntries(Object.entries(both).map(([name, value]) => [name.toLowerCase(), value]));
  // Node's own fetch and http look at the others only when told so.
  return { ...both, ...lower, NODE_USE_ENV_PROXY: "1" };
}
