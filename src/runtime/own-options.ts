import { z } from "zod";
import { AgentVmError, invalidArgument } from "../api/errors.ts";
import { MAX_OWN_ENV_BYTES } from "../api/limits.ts";
import { labels } from "../api/methods/machine.ts";
import { outboundSchema } from "../api/network-policy.ts";
import type { VmChoices } from "../api/vm-input.ts";
import { envSchema } from "./option-values.ts";
import { type ChosenLimits, chosenLimitsSchema, type VmOptions } from "./options.ts";

const inputSchema = z.strictObject({
  limits: chosenLimitsSchema.optional(),
  env: envSchema
    .refine((env) => JSON.stringify(env).length <= MAX_OWN_ENV_BYTES, {
      message: `at most ${MAX_OWN_ENV_BYTES} bytes of variables`,
    })
    .optional(),
  labels: labels.optional(),
  network: z.strictObject({ outbound: outboundSchema }).optional(),
  rootFilesystem: z.string().max(256).optional(),
  destroyAfterMs: z.int().positive().optional(),
});

/** Options that the creator of one VM has chosen. */
export type OwnOptions = z.output<typeof inputSchema>;

/**
 * Checks the options of one VM against the options that the server allows.
 *
 * @throws AgentVmError `invalid_argument` for a malformed option, and for an option that the server does not allow
 */
export function parseOwnOptions(input: unknown, { perVm }: Pick<VmOptions, "perVm">): OwnOptions {
  const parsed = inputSchema.safeParse(input ?? {});
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const keys = issue?.code === "unrecognized_keys" ? issue.keys : [];
    const option = [...(issue?.path ?? []), ...keys].map(String).join(".") || "createWithInput";
    throw new AgentVmError("invalid_argument", `Invalid option \`${option}\` of a VM: ${issue?.message}`, {
      argument: option,
    });
  }
  const own = parsed.data;
  checkLimits(own.limits ?? {}, perVm.limits);
  for (const name of ["env", "network"] as const) {
    if (own[name] !== undefined && !perVm[name]) throw notAllowed(name, `perVm: { ${name}: true }`);
  }
  const { rootFilesystem, destroyAfterMs } = own;
  if (rootFilesystem !== undefined && !Object.hasOwn(perVm.rootFilesystems, rootFilesystem)) {
    const names = Object.keys(perVm.rootFilesystems).map((name) => JSON.stringify(name));
    if (names.length === 0)
      throw notAllowed("rootFilesystem", "perVm: { rootFilesystems: { NAME: SOURCE } }");
    throw invalidArgument("rootFilesystem", `one of ${names.join(", ")}`, rootFilesystem);
  }
  if (destroyAfterMs !== undefined) checkMaximum("destroyAfterMs", destroyAfterMs, perVm.destroyAfterMs);
  return own;
}

/** @throws AgentVmError `invalid_argument` for a limit that is not allowed, or above its maximum */
function checkLimits(chosen: ChosenLimits, maxima: ChosenLimits): void {
  for (const [name, value] of Object.entries(chosen)) {
    if (value !== undefined) checkMaximum(`limits.${name}`, value, maxima[name as keyof ChosenLimits]);
  }
}

/** Reduces the options of a VM to what the server allows. Malformed options count for nothing. */
export function clampOwnOptions(input: unknown, { perVm }: Pick<VmOptions, "perVm">): OwnOptions {
  const {
    limits = {},
    env,
    labels: named,
    network,
    destroyAfterMs,
  } = inputSchema.safeParse(input).data ?? {};
  const allowed = Object.entries(limits).flatMap(([name, value]) => {
    const maximum = perVm.limits[name as keyof ChosenLimits];
    return value === undefined || maximum === undefined ? [] : [[name, Math.min(value, maximum)]];
  });
  return {
    ...(allowed.length > 0 && { limits: Object.fromEntries(allowed) as ChosenLimits }),
    ...(env !== undefined && perVm.env && { env }),
    ...(named !== undefined && { labels: named }),
    ...(network !== undefined && perVm.network && { network }),
    ...(destroyAfterMs !== undefined &&
      perVm.destroyAfterMs !== undefined && {
        destroyAfterMs: Math.min(destroyAfterMs, perVm.destroyAfterMs),
      }),
  };
}

/** Returns what the creator of a VM may choose, without the content of first files. */
export function choicesOf({ perVm }: Pick<VmOptions, "perVm">): VmChoices {
  const { limits, env, network, rootFilesystems, destroyAfterMs = null } = perVm;
  const allowed = Object.entries(limits).filter(([, maximum]) => maximum !== undefined);
  return {
    limits: Object.fromEntries(allowed),
    env,
    network,
    rootFilesystems: Object.keys(rootFilesystems),
    destroyAfterMs,
  };
}

/** Parses limits that a client sets while the VM exists. @throws AgentVmError `invalid_argument` */
export function parseOwnLimits(input: unknown, options: Pick<VmOptions, "perVm">): ChosenLimits {
  return parseOwnOptions({ limits: input }, options).limits ?? {};
}

/** Lays the options of one VM over those of its definition. */
export function withOwn(options: VmOptions, own: OwnOptions): VmOptions {
  const { limits, env, network } = own;
  return {
    ...options,
    limits: { ...options.limits, ...defined(limits ?? {}) },
    env: { ...options.env, ...env },
    network: { ...options.network, ...network },
  };
}

function defined<Value extends object>(value: Value): Value {
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined)) as Value;
}

function checkMaximum(name: string, value: number, maximum: number | undefined): void {
  if (maximum === undefined) throw notAllowed(name, `perVm: ${optionOf(name.split("."))}`);
  if (value > maximum) throw invalidArgument(name, `at most ${maximum}, the server's maximum`, value);
}

function notAllowed(name: string, option: string): AgentVmError {
  return new AgentVmError("invalid_argument", `This server does not let a VM choose \`${name}\``, {
    argument: name,
    hint: `The server allows it with vmActor({ ${option} }).`,
  });
}

/** Writes `["limits", "cpus"]` as `{ limits: { cpus: MAXIMUM } }`. */
function optionOf([name = "", ...rest]: readonly string[]): string {
  return `{ ${name}: ${rest.length === 0 ? "MAXIMUM" : optionOf(rest)} }`;
}
