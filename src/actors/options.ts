import { AgentVmError, unknownOption } from "../api/errors.ts";
import { knownKeys } from "../api/known-keys.ts";
import { type VmOptions, type VmOptionsInput, vmOptionsSchema } from "../runtime/options.ts";

/**
 * Fills in what is left out.
 *
 * @throws AgentVmError `invalid_argument` for an unknown or malformed option, by name.
 */
export function checkOptions(input: VmOptionsInput): VmOptions {
  const result = vmOptionsSchema.safeParse(input);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  if (issue.code === "unrecognized_keys") {
    const option = [...issue.path, issue.keys[0]].map(String).join(".");
    throw unknownOption("vmActor", option, knownKeys(vmOptionsSchema, issue.path));
  }
  const option = issue.path.map(String).join(".");
  throw new AgentVmError("invalid_argument", `Invalid option \`${option}\` of vmActor: ${issue.message}`, {
    argument: option,
  });
}
