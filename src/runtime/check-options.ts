import { AgentVmError, invalidArgument, unknownOption } from "../api/errors.ts";
import { knownKeys } from "../api/methods/known-keys.ts";
import { WHOLE } from "../api/values.ts";
import type { VmHandlers } from "./hooks.ts";
import { Catalog } from "./host-functions/catalog.ts";
import { type VmOptions, type VmOptionsInput, vmOptionsSchema } from "./options.ts";

const HANDLERS = [
  "onPermissionRequest",
  "onNetworkRequest",
  "onVmStart",
  "onVmStop",
] as const satisfies (keyof VmHandlers)[];

type HandlerName = (typeof HANDLERS)[number];

/** Options split in two: data, complete with defaults, and functions. */
interface CheckedOptions<Input> {
  options: VmOptions;
  handlers: Pick<Input, HandlerName & keyof Input>;
}

/**
 * Checks options, fills in their defaults, and takes out the functions among them.
 *
 * @throws AgentVmError `invalid_argument` for an unknown or malformed option, by name.
 */
export function checkOptions<Input extends VmOptionsInput>(input: Input): CheckedOptions<Input> {
  const data: Record<string, unknown> = { ...input };
  const handlers: Record<string, unknown> = {};
  for (const name of HANDLERS) {
    if (data[name] !== undefined) handlers[name] = data[name];
    delete data[name];
  }
  const options = checkData(data);
  for (const [name, handler] of Object.entries(handlers)) {
    if (typeof handler !== "function") throw invalidArgument(name, "a function", handler);
  }
  return { options, handlers: handlers as CheckedOptions<Input>["handlers"] };
}

function checkData(data: Record<string, unknown>): VmOptions {
  const result = vmOptionsSchema.safeParse(data);
  if (result.success) {
    // Throws for functions whose names or flags collide.
    new Catalog(result.data);
    return result.data;
  }
  const issue = result.error.issues[0]!;
  if (issue.code === "unrecognized_keys") {
    const option = [...issue.path, issue.keys[0]].map(String).join(".");
    throw unknownOption("vmActor", option, knownKeys(vmOptionsSchema, issue.path));
  }
  const option = issue.path.map(String).join(".");
  throw new AgentVmError(
    "invalid_argument",
    `Invalid option \`${option}\` of vmActor: ${issue.message.replace(WHOLE, "")}`,
    {
      argument: option,
    },
  );
}
