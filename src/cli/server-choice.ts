import { readConfig } from "./config.ts";
import type { Config } from "./config-schema.ts";
import { UsageError } from "./exit-codes.ts";

/** Options of every command that talks to a server. */
export interface ServerOptions {
  endpoint?: string;
  token?: string;
  context?: string;
}

/** Server of the commands if nothing names one. RIVET_ENDPOINT names none: AGENT_VM_TOKEN is not for that server. */
const DEFAULT_ENDPOINT = "http://localhost:6420";

/** A server and the token for it. */
export interface ServerChoice {
  endpoint: string;
  /** `undefined`: no token, except one in the endpoint. */
  token?: string | undefined;
  /** Name of the context; `undefined` if options or variables name the server. */
  context?: string | undefined;
}

/**
 * Chooses the server: `--endpoint`, `--context`, AGENT_VM_ENDPOINT, the current context, http://localhost:6420. The token of a
 * context goes to the endpoint of that context only.
 */
export async function chooseServer(
  options: ServerOptions,
  env: NodeJS.ProcessEnv = process.env,
): Promise<ServerChoice> {
  const token = options.token ?? (env.AGENT_VM_TOKEN || undefined);
  if (options.endpoint !== undefined) {
    if (options.context !== undefined) throw new UsageError("Pass --endpoint or --context, not both");
    return { endpoint: options.endpoint, token };
  }
  if (options.context === undefined && env.AGENT_VM_ENDPOINT)
    return { endpoint: env.AGENT_VM_ENDPOINT, token };
  const config = await readConfig();
  const name = options.context ?? (env.AGENT_VM_CONTEXT || config.current);
  if (name === undefined) return { endpoint: DEFAULT_ENDPOINT, token };
  const found = contextOf(config, name);
  return { endpoint: found.endpoint, token: options.token ?? found.token ?? token, context: name };
}

/** @throws UsageError for a name that the file does not have */
export function contextOf(config: Config, name: string) {
  const found = Object.hasOwn(config.contexts, name) ? config.contexts[name] : undefined;
  if (found !== undefined) return found;
  const known = Object.keys(config.contexts).join(", ") || "none yet";
  throw new UsageError(`No context is called ${JSON.stringify(name)}. Contexts: ${known}`);
}

/** Whether an endpoint is a URL that carries a token: `https://namespace:token@host`. */
export function hasToken(endpoint: string): boolean {
  return URL.canParse(endpoint) && new URL(endpoint).password !== "";
}

/** Returns a URL that people may see. */
export function withoutCredentials(endpoint: string): string {
  const url = new URL(endpoint);
  url.username = "";
  url.password = "";
  return url.href;
}
