import type { z } from "zod";
import {
  AgentVmError,
  invalidArgument,
  shortened,
  tooManyArguments,
  tooManyValues,
  unknownOption,
} from "../errors.ts";
import { issueText } from "../issue-text.ts";
import { isDecodable } from "../size.ts";
import { WHOLE } from "../values.ts";
import { knownKeys } from "./known-keys.ts";
import type { Input } from "./method.ts";
import { rowOf, type VmMethodName, type VmMethods } from "./table.ts";

/**
 * Checks the arguments that a client sent for a method.
 *
 * @returns the arguments in the method's own types: an `ArrayBuffer` becomes a `Uint8Array`, `"TERM"` becomes `"SIGTERM"`
 * @throws AgentVmError `invalid_argument`, which names the argument, the expected and the received value
 */
export function parseArgs<Name extends VmMethodName>(
  action: Name,
  received: readonly unknown[],
): Parameters<VmMethods[Name]> {
  return parseInput(action, rowOf(action).input, received) as Parameters<VmMethods[Name]>;
}

/** Checks arguments against an input that need not be in the method table. @throws like `parseArgs` */
export function parseInput<Args extends readonly unknown[]>(
  action: string,
  { names, args }: Input<Args>,
  received: readonly unknown[],
): Args {
  const given = received.length;
  // An optional argument that is left out arrives as undefined, or as null from a client that speaks JSON.
  const padded = [...received];
  while (padded.length > 0 && padded[padded.length - 1] == null) padded.pop();
  if (padded.length > names.length) throw tooManyArguments(action, names.length, given);
  while (padded.length < names.length) padded.push(undefined);

  if (!isDecodable(padded)) throw tooManyValues();
  const result = args.safeParse(padded, { error: issueText });
  if (result.success) return result.data;
  throw refusal(action, { names, args }, padded, result.error.issues[0]!);
}

function refusal(
  action: string,
  { names, args }: Pick<Input<readonly unknown[]>, "names" | "args">,
  received: readonly unknown[],
  issue: z.core.$ZodIssue,
): AgentVmError {
  const value = issue.path.reduce<unknown>(
    (inner, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key],
    received,
  );
  if (issue.code === "unrecognized_keys") {
    return unknownOption(action, issue.keys[0] ?? "", knownKeys(args, issue.path));
  }
  const label = labelOf(names, issue.path);
  if (issue.message.startsWith(WHOLE)) {
    return new AgentVmError("invalid_argument", issue.message.slice(WHOLE.length), { argument: label });
  }
  return invalidArgument(label, issue.message, value);
}

/** Writes `options.timeout` as `timeout`, and `entries.0.path` as `entries[0].path`. */
function labelOf(names: readonly string[], path: readonly PropertyKey[]): string {
  const [index, ...rest] = path;
  const name = names[Number(index ?? 0)] ?? "arguments";
  const parts = name === "options" && rest.length > 0 ? rest : [name, ...rest];
  return parts
    .map((part, position) =>
      typeof part === "number" ? `[${part}]` : `${position === 0 ? "" : "."}${shortened(String(part))}`,
    )
    .join("");
}
