import { RIGHT_NAMES, type Right } from "../../api/rights.ts";
import type { CreateTokenOptions, TokenInfo } from "../../client/index.ts";
import type { Cli } from "../cli.ts";
import { UsageError } from "../exit-codes.ts";
import { keyText, parseKey } from "../key.ts";
import { shownTime } from "../shown.ts";

interface CreateOptions {
  vm?: string[];
  prefix?: string;
  all?: boolean;
  may: string[];
  expires?: number;
  label?: string;
}

/** Tokens that one request asks for. */
const PAGE = 1000;

/** Makes a token for some VMs. Only the token goes to stdout. */
export async function createToken(cli: Cli, options: CreateOptions): Promise<void> {
  const { expires, label } = options;
  const made = await (await cli.client()).tokens.create({
    vms: scopeOf(options),
    may: options.may.flatMap((names) => names.split(",")).map(rightOf),
    expiresIn: expires === undefined ? undefined : Math.ceil(expires / 1000),
    label,
  });
  await cli.out.value(made, made.token);
  cli.out.note(`Token ${made.id}, expires ${shownTime(made.expiresAt)}. It is not shown again.`);
}

function scopeOf({ vm, prefix, all }: CreateOptions): CreateTokenOptions["vms"] {
  if ([vm, prefix, all].filter((given) => given !== undefined).length !== 1)
    throw new UsageError("Pass one of --vm KEY, --prefix KEY and --all");
  if (vm !== undefined) return vm.map((key) => parseKey(key));
  return { prefix: prefix === undefined ? "" : parseKey(prefix) };
}

function rightOf(name: string): Right {
  const found = RIGHT_NAMES.find((right) => right === name);
  if (found === undefined)
    throw new UsageError(`Expected rights of ${RIGHT_NAMES.join(", ")}, got ${JSON.stringify(name)}`);
  return found;
}

export async function listTokens(cli: Cli): Promise<void> {
  const { tokens } = await cli.client();
  const all: TokenInfo[] = [];
  let cursor: string | undefined;
  do {
    const page = await tokens.list({ limit: PAGE, cursor });
    all.push(...page.tokens);
    cursor = page.cursor ?? undefined;
  } while (cursor !== undefined);
  await cli.out.table(all, [
    { title: "TOKEN", of: ({ id }) => id },
    { title: "LABEL", of: ({ label }) => label || undefined },
    { title: "VMS", of: ({ vms }) => shownScope(vms) },
    { title: "MAY", of: ({ may }) => may.join(",") },
    { title: "EXPIRES", of: ({ expiresAt }) => shownTime(expiresAt) },
  ]);
}

function shownScope(vms: TokenInfo["vms"]): string {
  if (Array.isArray(vms)) return vms.map(keyText).join(" ");
  const prefix = [vms.prefix].flat();
  return prefix.join("") === "" ? "all" : `${keyText(prefix)}/*`;
}

export async function revokeTokens(cli: Cli, ids: string[]): Promise<void> {
  const { tokens } = await cli.client();
  for (const id of ids) await tokens.revoke(id);
  await cli.out.value({ revoked: ids }, "");
}

export async function renewToken(cli: Cli, id: string | undefined): Promise<void> {
  const made = await (await cli.client()).tokens.renew(...(id === undefined ? [] : [id]));
  await cli.out.value(made, made.token);
}
