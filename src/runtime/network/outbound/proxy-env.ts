import type { Env } from "../../../api/values.ts";
import { VM_HOSTNAME } from "../../sandbox/vm-layout.ts";

/** Hosts that bypass the proxy: the VM itself. */
const INSIDE = `localhost,.localhost,127.0.0.1,127.0.0.0/8,0.0.0.0,::1,${VM_HOSTNAME}`;

/** Where nothing is allowed, a second try only takes time: pip waits 8 s between its tries. */
export const NO_RETRIES: Env = {
  PIP_RETRIES: "0",
  UV_HTTP_RETRIES: "0",
  CARGO_NET_RETRY: "0",
  BUN_CONFIG_HTTP_RETRY_COUNT: "0",
  npm_config_fetch_retries: "0",
};

/**
 * Tells Node's fetch and http to use the proxy. Node then loads its HTTP client at each start, which doubles the time of a
 * start. So only programs whose connections are not intercepted need it.
 */
export const NODE_PROXY: Env = { NODE_USE_ENV_PROXY: "1" };

let last: { port: number; env: Env } | undefined;

/**
 * Returns the environment variables that point programs to the proxy. Nearly all VMs have one port, and each command asks. ALL_PROXY is an HTTP URL too: Python's httpx fails
 * at startup for a SOCKS proxy without an extra package. The same port also accepts SOCKS 5.
 */
export function proxyEnv(port: number): Readonly<Env> {
  if (last?.port !== port) last = { port, env: envOf(port) };
  return last.env;
}

function envOf(port: number): Env {
  const url = `http://127.0.0.1:${port}`;
  const both = { HTTP_PROXY: url, HTTPS_PROXY: url, ALL_PROXY: url, NO_PROXY: INSIDE };
  const lower = Object.fromEntries(Object.entries(both).map(([name, value]) => [name.toLowerCase(), value]));
  const java = ["http", "https"]
    .map((scheme) => `-D${scheme}.proxyHost=127.0.0.1 -D${scheme}.proxyPort=${port}`)
    .join(" ");
  return {
    ...both,
    ...lower,
    YARN_HTTP_PROXY: url,
    YARN_HTTPS_PROXY: url,
    // Start scripts of Gradle, sbt and others read it. Java itself reads JAVA_TOOL_OPTIONS, but says so on stderr.
    JAVA_OPTS: java,
    // Maven 3.9 and newer do not look at Java's settings without the last two.
    MAVEN_OPTS: `${java} -Daether.connector.http.useSystemProperties=true -Daether.transport.http.useSystemProperties=true`,
  };
}
