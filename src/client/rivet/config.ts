import { AgentVmError, invalidArgument } from "../../api/errors.ts";

/** Encodings of messages. */
const ENCODINGS = ["bare", "cbor", "json"] as const;

/** Encoding of messages. */
export type Encoding = (typeof ENCODINGS)[number];

/** Options that lead to a server, as RivetKit names them. */
export interface ServerAddress {
  /** URL of the server, also `https://namespace:token@host`. @default RIVET_ENDPOINT, else "http://localhost:6420" */
  endpoint?: string | undefined;
  /** Token of the server, or a token of `client.tokens.create()`; `""` sends none. @default RIVET_TOKEN for the endpoint of RIVET_ENDPOINT, else none */
  token?: string | undefined;
  /** Namespace of a Rivet Engine. @default RIVET_NAMESPACE, else "default" */
  namespace?: string | undefined;
  /** Name of the runners of a Rivet Engine that make new VMs. @default RIVET_RUNNER, else "default" */
  runnerName?: string | undefined;
  /** Encoding of messages. `"json"` is larger, and readable in a browser's tools. @default "bare" */
  encoding?: Encoding | undefined;
  /** HTTP headers of every request. @default {} */
  headers?: Record<string, string> | undefined;
}

/** A server and how a client talks to it. */
export interface Server {
  /** URL without credentials and without a slash at its end. */
  readonly endpoint: string;
  readonly token: string | undefined;
  readonly namespace: string;
  readonly runnerName: string;
  readonly encoding: Encoding;
  readonly headers: Readonly<Record<string, string>>;
}

const DEFAULT_ENDPOINT = "http://localhost:6420";

/**
 * Finds the server in the options, in the environment, or on this machine, as RivetKit's client does. The token of the environment is for the
 * server of the environment: in the process of a server behind a Rivet Engine it is the engine's admin token.
 *
 * @param isEngine whether the endpoint is that of the engine, to which the token of the environment belongs. @default false
 * @throws AgentVmError `invalid_argument`
 */
export function serverOf(options: ServerAddress, { isEngine = false } = {}): Server {
  const known = fromEnvironment("RIVET_ENGINE", "RIVET_ENDPOINT");
  const endpoint = text("endpoint", options.endpoint) ?? known;
  const { url, namespace, token } = parsed(endpoint ?? DEFAULT_ENDPOINT);
  if (namespace !== undefined && options.namespace !== undefined) throw twice("namespace");
  if (token !== undefined && options.token !== undefined) throw twice("token");
  const { encoding = "bare", headers = {} } = options;
  if (!ENCODINGS.includes(encoding)) throw invalidArgument("encoding", '"bare", "cbor" or "json"', encoding);
  const isKnown = isEngine || options.endpoint === undefined || (known && parts(known)?.url === url);
  const isRecord = typeof headers === "object" && headers !== null && !Array.isArray(headers);
  if (!isRecord) throw invalidArgument("headers", "an object of strings", headers);
  for (const [name, value] of Object.entries(headers)) text(`headers.${name}`, value);
  return {
    endpoint: url,
    token:
      (token ?? text("token", options.token) ?? (isKnown ? fromEnvironment("RIVET_TOKEN") : undefined)) ||
      undefined,
    namespace:
      namespace ?? text("namespace", options.namespace) ?? fromEnvironment("RIVET_NAMESPACE") ?? "default",
    runnerName: text("runnerName", options.runnerName) ?? fromEnvironment("RIVET_RUNNER") ?? "default",
    encoding,
    headers,
  };
}

interface Parts {
  url: string;
  namespace: string | undefined;
  token: string | undefined;
}

/** @throws AgentVmError `invalid_argument` */
function parsed(endpoint: string): Parts {
  const found = parts(endpoint);
  if (found === undefined) {
    // The endpoint may contain a token, so the message does not show it.
    const expected =
      "an http URL without a query or a fragment, such as http://localhost:6420 or https://namespace:token@host";
    throw new AgentVmError("invalid_argument", `Expected \`endpoint\` to be ${expected}`, {
      argument: "endpoint",
      expected,
    });
  }
  return found;
}

/** Splits `https://namespace:token@host/path`. @returns `undefined` for anything else */
function parts(endpoint: string): Parts | undefined {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  const isUsable = url && /^(http|ws)s?:$/.test(url.protocol) && url.search === "" && url.hash === "";
  if (!isUsable || (url.username === "" && url.password !== "")) return undefined;
  const [namespace, token] = [url.username, url.password].map((part) =>
    part === "" ? undefined : decodeURIComponent(part),
  );
  return {
    url: `${url.protocol.replace(/^ws/, "http")}//${url.host}${url.pathname.replace(/\/+$/, "")}`,
    namespace,
    token,
  };
}

function twice(option: string): AgentVmError {
  return new AgentVmError(
    "invalid_argument",
    `The endpoint and \`${option}\` both name a ${option}. Pass one.`,
  );
}

function text(option: string, value: unknown): string | undefined {
  if (value !== undefined && typeof value !== "string") throw invalidArgument(option, "a string", value);
  return value;
}

/** Returns the first variable of the environment that is set. Browsers have no environment, and Deno may refuse to read it. */
function fromEnvironment(...names: string[]): string | undefined {
  for (const name of names) {
    try {
      const value = globalThis.process?.env?.[name];
      if (value !== undefined) return value;
    } catch {
      return undefined;
    }
  }
  return undefined;
}
