import type { AnyMethod } from "../../api/methods/method.ts";
import { METHODS, rowOf } from "../../api/methods/table.ts";
import { TRANSPORT_METHODS } from "../../api/methods/transport.ts";
import { sufficientRights } from "../../api/rights.ts";
import type { Cli } from "../cli.ts";
import { UsageError } from "../exit-codes.ts";
import { jsonText, printableText } from "../out.ts";

/** Calls any method of the API. Arguments are JSON, or text if they are not JSON. */
export async function call(
  cli: Cli,
  key: string | undefined,
  method: string | undefined,
  given: string[],
  { list }: { list?: boolean },
): Promise<void> {
  if (list) return await listMethods(cli);
  if (key === undefined || method === undefined) throw new UsageError("Pass KEY and METHOD, or --list");
  const vm = await cli.vm(key);
  const args = given.map((text, index) => argumentOf(rowOf(method), index, text));
  const result = await vm.action({ name: method, args });
  if (cli.out.json) await cli.out.value(result ?? null, "");
  else if (result !== null && result !== undefined)
    await cli.out.raw(`${printableText(jsonText(result, 2))}\n`);
}

async function listMethods(cli: Cli): Promise<void> {
  const offered = Object.entries(METHODS as Record<string, AnyMethod>).filter(
    ([name]) => !Object.hasOwn(TRANSPORT_METHODS, name),
  );
  const rows = offered.map(([name, row]) => ({
    name,
    rights: sufficientRights(row),
    args: row.input.names.map((argument, index) => (row.input.optional[index] ? `[${argument}]` : argument)),
  }));
  await cli.out.table(rows, [
    { title: "METHOD", of: ({ name }) => name },
    { title: "ARGUMENTS", of: ({ args }) => args.join(" ") || "-" },
    { title: "RIGHT", of: ({ rights }) => rights.join(" or ") },
  ]);
}

/** Takes an argument as JSON, except where the method takes the text itself and not its JSON. */
function argumentOf(row: AnyMethod | undefined, index: number, text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return text;
  }
  const schema = row?.input.args.def;
  const items =
    schema !== undefined && "items" in schema
      ? (schema.items as { safeParse(v: unknown): { success: boolean } }[])
      : [];
  const item = items[index];
  return item !== undefined && !item.safeParse(value).success && item.safeParse(text).success ? text : value;
}
