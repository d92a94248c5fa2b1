import { randomUUID } from "node:crypto";
import {
  type Registry,
  type RegistryActors,
  type RegistryConfigInput,
  RegistryConfigSchema,
  setup as rivetSetup,
} from "rivetkit";
import { AgentVmError, invalidArgument, unknownOption } from "../api/errors.ts";
import { MAX_MESSAGE_BYTES } from "../api/limits.ts";
import { type AccessPolicy, bindPolicy, isLoopback, isVmDefinition } from "./access.ts";
import { guardedDriver } from "./guard.ts";
import { createLogger, type Logger } from "./logger.ts";

/** RivetKit options that this setup decides by itself. */
const DECIDED = [
  "token",
  "driver",
  "storagePath",
  "managerHost",
  "managerPort",
  "serveManager",
  "logging",
  "inspector",
  "maxIncomingMessageSize",
  "maxOutgoingMessageSize",
] as const satisfies (keyof RegistryConfigInput<RegistryActors>)[];

export interface ServerOptions {
  /**
   * Whoever wants to talk to the server must present it. Without one the server answers loopback only.
   * @default none
   */
  token?: string | undefined;
  /** Address to listen on; one that is not loopback needs a token. @default "127.0.0.1" */
  host?: string;
  /** @default 6420 */
  port?: number;
  /** Folder of the actors' durable state. @default RivetKit's own, one for each working directory */
  dataDir?: string;
  /** Web pages, besides those on loopback, that a server without a token answers, e.g. `"https://app.example"`. */
  allowedOrigins?: readonly string[];
  /**
   * Where clients reach the server, where that is not where it listens: behind a proxy, or on every address.
   * @default "http://HOST:PORT"
   */
  publicUrl?: string | undefined;
  /** A pino logger. @default one that writes to stderr, at the level of AGENT_VM_LOG_LEVEL ("warn") */
  logger?: Logger;
}

const SERVER_OPTIONS = [
  "token",
  "host",
  "port",
  "dataDir",
  "allowedOrigins",
  "publicUrl",
  "logger",
] as const satisfies (keyof ServerOptions)[];

export type SetupOptions<Actors extends RegistryActors> = ServerOptions &
  Omit<RegistryConfigInput<Actors>, (typeof DECIDED)[number]> & {
    /** The actors to serve, by name. */
    use: Actors;
  };

/** What our `setup()` knows of a registry and RivetKit does not. */
export interface ServerSettings {
  host: string;
  port: number;
  /** Whether RivetKit serves from this process; 2.3 starts an engine of its own, and with an engine nothing listens. */
  inProcess: boolean;
  /** Folder of the actors' state in this process; `undefined` for RivetKit's own, and where an engine has it. */
  dataDir: string | undefined;
  /** The Rivet Engine that actors run for, instead of clients that connect here. */
  engine: string | undefined;
}

const settings = new WeakMap<object, ServerSettings>();

/**
 * RivetKit's `setup()` with defaults that a server of virtual machines needs: it listens on loopback, asks for the
 * token everywhere, has no inspector, and carries messages of 31 MiB. RivetKit's other options pass through.
 *
 * @throws AgentVmError `invalid_argument` for a host that is not loopback without a token, and for an unknown option.
 * @example
 * ```ts
 * export const registry = setup({ use: { vm: vmActor() }, token: process.env.AGENT_VM_TOKEN });
 * registry.start();
 * ```
 */
export function setup<Actors extends RegistryActors>(options: SetupOptions<Actors>): Registry<Actors> {
  refuseUnknown(options);
  const {
    token,
    host = "127.0.0.1",
    port = 6420,
    dataDir,
    allowedOrigins = [],
    publicUrl,
    logger,
    ...rest
  } = options;
  // As RivetKit looks for it.
  const engine = rest.endpoint ?? process.env.RIVET_ENGINE ?? process.env.RIVET_ENDPOINT;
  const behindEngine = Boolean(engine);
  if (token === "") throw new AgentVmError("invalid_argument", "The token is empty");
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw invalidArgument("port", "a port from 1 to 65535", port);
  }
  if (token === undefined && !behindEngine && !isLoopback(`http://${bracketed(host)}`)) {
    throw new AgentVmError(
      "invalid_argument",
      `Listening on ${host} needs a token: whoever reaches the server runs commands on this machine. Set AGENT_VM_TOKEN or pass \`token\`.`,
    );
  }

  if (publicUrl !== undefined && !/^https?:\/\/[^/?#@\s]+(\/[^?#\s]*)?$/.test(publicUrl)) {
    throw invalidArgument("publicUrl", "an http URL without a query", publicUrl);
  }

  const endpoint = (publicUrl ?? (engine || `http://${reachable(host)}:${port}`)).replace(/\/+$/, "");
  const policy: AccessPolicy = { token, allowedOrigins, behindEngine, endpoint, secret: randomUUID() };
  for (const definition of Object.values(options.use)) bindPolicy(definition, policy);
  const isVm = (name: string) => {
    const definition: unknown = Object.hasOwn(options.use, name) ? options.use[name] : undefined;
    return typeof definition === "object" && definition !== null && isVmDefinition(definition);
  };
  const driver = behindEngine ? undefined : guardedDriver({ policy, isVm, dataDir });
  const decided: Omit<RegistryConfigInput<Actors>, "use"> = {
    noWelcome: true,
    // Nothing is served but the API, unless asked for; RivetKit's default is ./public.
    publicDir: "",
    ...rest,
    // Without a version RivetKit complains in production, although only an engine's runners need one.
    ...(!behindEngine && { runner: { version: 1, ...rest.runner } }),
    managerHost: host,
    managerPort: port,
    maxIncomingMessageSize: MAX_MESSAGE_BYTES,
    maxOutgoingMessageSize: MAX_MESSAGE_BYTES,
    logging: { baseLogger: logger ?? createLogger() },
    // An engine turns the inspector on again: a token that nobody knows keeps it shut there.
    inspector: { enabled: false, token: () => policy.secret },
    ...(driver && { driver }),
  };
  const registry = rivetSetup<Actors>({ ...decided, use: options.use });
  settings.set(registry, {
    host,
    port,
    inProcess: driver !== undefined,
    dataDir,
    engine: engine || undefined,
  });
  return registry;
}

/** An option that is misspelt must not leave a server without its token. */
function refuseUnknown(options: object): void {
  const decided: readonly string[] = DECIDED;
  const passedOn = Object.keys(RegistryConfigSchema.in.shape).filter((option) => !decided.includes(option));
  const known = [...SERVER_OPTIONS, ...passedOn];
  for (const option of Object.keys(options)) {
    if (!known.includes(option)) throw unknownOption("setup", option, known);
  }
}

export function settingsOf(registry: object): ServerSettings {
  const known = settings.get(registry);
  if (!known) throw new Error("The registry was not made by agent-vm's setup()");
  return known;
}

/** A host that a browser on this machine can open. */
function reachable(host: string): string {
  return host === "0.0.0.0" || host === "::" || host === "[::]" ? "localhost" : bracketed(host);
}

/** A host as it stands in a URL: IPv6 addresses in brackets. */
export function bracketed(host: string): string {
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
}
