import { AgentVmError, invalidArgument, unknownOption } from "../api/errors.ts";
import type { Quota } from "../directory/quota.ts";
import type { AuditOption } from "../monitoring/audit.ts";
import { rivetOptionNames } from "../rivet/registry.ts";
import { isLoopback } from "./access.ts";
import type { Authorize } from "./authorize.ts";
import type { Logger } from "./logger.ts";
import type { PeerOptions } from "./peers/options.ts";

/** Options of a server, as `setup()` takes them. */
export interface ServerOptions {
  /**
   * Token of the administrator, who may do everything. Every other request needs a token of `client.tokens.create()`, or
   * the consent of `authorize`. Without either the server answers loopback only.
   * @default none
   */
  token?: string | undefined;
  /**
   * Signs the tokens of `client.tokens.create()`: at least 32 bytes. Another secret makes every earlier token invalid.
   * @default a random secret that the server keeps in its data folder
   */
  secret?: string | undefined;
  /**
   * Decides who sends a request and what that client may do, for example by a JWT of your identity provider. Called for
   * each request without the server's token and without a token that the server has made. `null` or an error refuses the
   * request.
   *
   * @default none
   * @example
   * ```ts
   * setup({
   *   use: { vm: vmActor() },
   *   async authorize({ token }) {
   *     const user = await verifyWithMyProvider(token);
   *     return user && { identity: user.id, vms: { prefix: [user.id] }, may: ["create", "exec", "files"] };
   *   },
   * });
   * ```
   */
  authorize?: Authorize;
  /** Address to listen on. An address other than loopback needs a token. @default "127.0.0.1" */
  host?: string;
  /** Port to listen on, 1 to 65535. @default 6420 */
  port?: number;
  /** Folder of the actors' durable state. @default RivetKit's own folder, one per working directory */
  dataDir?: string;
  /**
   * Origins of web pages that a server without a token, or with `authorize`, answers: `"https://app.example"`. On a loopback
   * address it also answers pages of loopback.
   * @default []
   */
  allowedOrigins?: readonly string[];
  /**
   * URL under which clients reach the server, if it differs from its own address: behind a proxy, or on every address.
   * @default "http://HOST:PORT"
   */
  publicUrl?: string | undefined;
  /**
   * Domain of the previews, such as `"*.preview.example.com"`. Each preview has a host name of its own below it. A scheme
   * and a port before and behind it override those of `publicUrl`. `"none"`: previews have only paths below the server's URL.
   * @default "*.localhost" if clients reach the server on loopback, else "none"
   */
  previewDomain?: string | undefined;
  /**
   * Whether the server answers `/console` with its console, in which a browser looks into every VM.
   * @default true
   */
  console?: boolean | undefined;
  /** Limits of the whole server: `maxVms`, `maxAwake` and `maxStoredBytes`. @default no limits */
  quota?: Quota;
  /** A pino logger. @default writes to stderr at the level of AGENT_VM_LOG_LEVEL ("warn") */
  logger?: Logger;
  /**
   * Behind a Rivet Engine: makes this server answer clients for every VM, whichever server has it. All servers have the same
   * `peers.secret`, the same `token` or `authorize`, and the same `secret`.
   *
   * @default behind an engine clients ask the engine's gateway
   */
  peers?: PeerOptions | undefined;
  /** Whether this server runs VMs. With `peers` a server without VMs is a front for the others. @default true */
  vms?: boolean | undefined;
  /** Writes down each call: who, VM, method, outcome and duration. @default none */
  audit?: AuditOption | undefined;
}

const SERVER_OPTIONS = [
  "token",
  "secret",
  "authorize",
  "host",
  "port",
  "dataDir",
  "allowedOrigins",
  "publicUrl",
  "previewDomain",
  "logger",
  "console",
  "quota",
  "audit",
  "peers",
  "vms",
] as const satisfies (keyof ServerOptions)[];

/** A value that a header carries as it is. */
const HEADER_VALUE = /^[!-~\x80-\xff]+([\t ]+[!-~\x80-\xff]+)*$/;

/** An origin as browsers send it. Another text, such as one with a path, would match no page. */
const ORIGIN = /^([a-z][a-z\d+.-]*:\/\/[^\s/?#@*A-Z]+|null)$/;

/** @throws AgentVmError `invalid_argument`. */
export function checkServerOptions(
  {
    token,
    isGuarded,
    host,
    port,
    allowedOrigins,
    publicUrl,
    previewDomain,
  }: Pick<ServerOptions, "token" | "publicUrl" | "previewDomain"> & {
    allowedOrigins: readonly string[];
    isGuarded: boolean;
    host: string;
    port: number;
  },
  behindEngine: boolean,
): void {
  if (token === "")
    throw new AgentVmError("invalid_argument", "The token is empty. Pass a token, or leave the option out.");
  if (token !== undefined && !HEADER_VALUE.test(token))
    throw new AgentVmError(
      "invalid_argument",
      "The token begins or ends with white space, or has a character that no HTTP header carries: no client could present it.",
    );
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw invalidArgument("port", "a port from 1 to 65535", port);
  }
  if (!isGuarded && !isLoopback(`http://${bracketed(host)}`)) {
    throw new AgentVmError(
      "invalid_argument",
      `Listening on ${host} needs a token: anyone who reaches the server can run commands on this machine. Set AGENT_VM_TOKEN, or pass \`token\` or \`authorize\`.`,
    );
  }
  const wrong = Array.isArray(allowedOrigins)
    ? allowedOrigins.find((origin) => !ORIGIN.test(origin))
    : allowedOrigins;
  if (wrong !== undefined)
    throw invalidArgument("allowedOrigins", 'origins such as ["https://app.example.com"]', wrong);
  if (publicUrl !== undefined && !/^https?:\/\/[^/?#@\s]+(\/[^?#\s]*)?$/.test(publicUrl)) {
    throw invalidArgument("publicUrl", "an http URL without a query", publicUrl);
  }
  if (behindEngine && previewDomain !== undefined && previewDomain !== "none")
    throw invalidArgument(
      "previewDomain",
      "no domain behind a Rivet Engine, which answers HTTP",
      previewDomain,
    );
}

/** Refuses actors that RivetKit could not start, and unknown options: a misspelt `token` would leave the server open. */
export function refuseUnknown(options: { use?: unknown; authorize?: unknown } = {}): void {
  const { use, authorize } = options;
  if (typeof use !== "object" || use === null)
    throw invalidArgument("use", "the actors to serve, such as { vm: vmActor() }", use);
  for (const [name, actor] of Object.entries(use)) {
    if (typeof Object(actor).instantiate !== "function")
      throw invalidArgument(`use.${name}`, "an actor, such as vmActor() returns", actor);
  }
  if (authorize !== undefined && typeof authorize !== "function")
    throw invalidArgument("authorize", "a function", authorize);
  const known = [...SERVER_OPTIONS, ...rivetOptionNames()];
  for (const option of Object.keys(options)) {
    if (!known.includes(option)) throw unknownOption("setup", option, known);
  }
}

/** @returns a host that a browser on this machine can open. */
export function reachable(host: string): string {
  return host === "0.0.0.0" || host === "::" || host === "[::]" ? "localhost" : bracketed(host);
}

/** @returns a host as URLs write it: IPv6 addresses in brackets. */
export function bracketed(host: string): string {
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
}
