import type { Cli } from "../cli.ts";
import { readConfig, writeConfig } from "../config.ts";
import { type Config, isContextName } from "../config-schema.ts";
import { UsageError } from "../exit-codes.ts";
import { contextOf, hasToken, withoutCredentials } from "../server-choice.ts";
import { readStdin } from "../terminal/streams.ts";

/** Names a server. A token of `-` is read from stdin, where no list of processes shows it. */
export async function addContext(
  cli: Cli,
  name: string,
  { endpoint, token }: { endpoint: string; token?: string },
): Promise<void> {
  if (!isContextName(name))
    throw new UsageError(
      "A context's name has letters, digits, dots, - and _, and begins with a letter or digit",
    );
  if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol))
    throw new UsageError("Expected --endpoint to be a URL such as https://vms.example.com");
  const text = token === "-" ? new TextDecoder().decode(await readStdin()).trim() : token;
  const config = await readConfig();
  config.contexts[name] = { endpoint, ...(text !== undefined && { token: text }) };
  config.current ??= name;
  await writeConfig(config);
  await cli.out.value(shown(config, name), "");
}

export async function useContext(cli: Cli, name: string): Promise<void> {
  const config = await readConfig();
  contextOf(config, name);
  await writeConfig({ ...config, current: name });
  await cli.out.value(shown(config, name), "");
}

export async function deleteContext(cli: Cli, name: string): Promise<void> {
  const { current, contexts } = await readConfig();
  contextOf({ current, contexts }, name);
  const { [name]: _deleted, ...others } = contexts;
  await writeConfig({ ...(current !== name && { current }), contexts: others });
  await cli.out.value({ deleted: name }, "");
}

export async function listContexts(cli: Cli): Promise<void> {
  const config = await readConfig();
  const rows = Object.keys(config.contexts).map((name) => shown(config, name));
  await cli.out.table(rows, [
    { title: "CURRENT", of: ({ isCurrent }) => (isCurrent ? "*" : "") },
    { title: "NAME", of: ({ name }) => name },
    { title: "ENDPOINT", of: ({ endpoint }) => endpoint },
    { title: "TOKEN", of: ({ hasToken }) => (hasToken ? "yes" : "no") },
  ]);
}

/** Prints the server that commands reach now, and where its name is from. */
export async function showContext(cli: Cli): Promise<void> {
  const { endpoint, token, context } = await cli.server();
  const shownEndpoint = shownUrl(endpoint);
  const sendsToken = token !== undefined || hasToken(endpoint);
  await cli.out.facts({ context: context ?? null, endpoint: shownEndpoint, hasToken: sendsToken }, [
    ["context", context],
    ["endpoint", shownEndpoint],
    ["token", sendsToken ? "yes" : "no"],
  ]);
}

function shown({ current, contexts }: Config, name: string) {
  const { endpoint = "", token } = contexts[name] ?? {};
  return {
    name,
    endpoint: shownUrl(endpoint),
    isCurrent: current === name,
    hasToken: token !== undefined || hasToken(endpoint),
  };
}

function shownUrl(endpoint: string): string {
  return URL.canParse(endpoint) ? withoutCredentials(endpoint).replace(/\/$/, "") : "not a URL";
}
