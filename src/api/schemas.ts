import type { z } from "zod";
import type { VmMethodName, VmMethods } from "./actions.ts";
import { AgentVmError, invalidArgument, tooManyArguments, unknownOption } from "./errors.ts";
import { knownKeys } from "./known-keys.ts";
import { SIGNATURES, type Signature } from "./signatures.ts";
import { WHOLE } from "./values.ts";

/** The name of every action. */
export const VM_METHOD_NAMES = Object.keys(SIGNATURES) as VmMethodName[];

export function isVmMethodName(name: string): name is VmMethodName {
  return Object.hasOwn(SIGNATURES, name);
}

/**
 * Checks what a client sent for an action.
 *
 * @returns the arguments in the action's own types: an `ArrayBuffer` has become a `Uint8Array`, a signal's name is full.
 * @throws AgentVmError `invalid_argument`, naming the argument, what was expected and what came.
 */
export function parseArgs<Name extends VmMethodName>(
  action: Name,
  received: readonly unknown[],
): Parameters<VmMethods[Name]> {
  const signature: Signature<Parameters<VmMethods[Name]>> = SIGNATURES[action] as never;
  const { names } = signature;
  const given = received.length;
  // An optional argument that is left out arrives as undefined, or as null from a client that speaks JSON.
  const padded = [...received];
  while (padded.length > 0 && padded[padded.length - 1] == null) padded.pop();
  if (padded.length > names.length) throw tooManyArguments(action, names.length, given);
  while (padded.length < names.length) padded.push(undefined);

  const result = signature.args.safeParse(padded);
  if (result.success) return result.data;
  throw refusal(action, names, padded, result.error.issues[0]!);
}

function refusal(
  action: VmMethodName,
  names: readonly string[],
  received: readonly unknown[],
  issue: z.core.$ZodIssue,
): AgentVmError {
  const value = issue.path.reduce<unknown>(
    (inner, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key],
    received,
  );
  if (issue.code === "unrecognized_keys") {
    return unknownOption(action, issue.keys[0] ?? "", knownKeys(SIGNATURES[action].args, issue.path));
  }
  const label = labelOf(names, issue.path);
  if (issue.message.startsWith(WHOLE)) {
    return new AgentVmError("invalid_argument", issue.message.slice(WHOLE.length), { argument: label });
  }
  return invalidArgument(label, issue.message, value);
}

/** `options.timeout` is told as `timeout`, and `entries.0.path` as `entries[0].path`. */
function labelOf(names: readonly string[], path: readonly PropertyKey[]): string {
  const [index, ...rest] = path;
  const name = names[Number(index ?? 0)] ?? "arguments";
  const parts = name === "options" && rest.length > 0 ? rest : [name, ...rest];
  return parts
    .map((part, position) =>
      typeof part === "number" ? `[${part}]` : `${position === 0 ? "" : "."}${String(part)}`,
    )
    .join("");
}
