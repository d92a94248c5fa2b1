import { z } from "zod";
import type { Right } from "../../api/rights.ts";
import type { Grant, VmName } from "../grant.ts";
import { fresh } from "./seal.ts";

const key = z.array(z.string());
const vmName = z.strictObject({ name: z.string(), key });

/** Rights of the sender of a request. */
export const grant: z.ZodType<Grant> = z.strictObject({
  unlimited: z.literal(true).optional(),
  may: z.array(z.custom<Right>((right) => typeof right === "string")),
  vms: z.strictObject({
    keys: z.array(key).optional(),
    prefix: key.optional(),
    actors: z.array(z.string()).optional(),
  }),
  tokenId: z.string().optional(),
  expiresAt: z.number().optional(),
  identity: z.unknown().optional(),
  isDirect: z.literal(true).optional(),
  asked: vmName.optional(),
}) as z.ZodType<Grant>;

/** A forwarded request. `to`: the server for which it is meant. */
export const forwardedSchema = z.strictObject({
  ...fresh,
  to: z.string(),
  method: z.string(),
  url: z.string(),
  actorId: z.string(),
  /** Rights of the sender; absent for a request whose own token the VM checks, such as that for a preview. */
  grant: grant.optional(),
});
export type Forwarded = z.output<typeof forwardedSchema>;

/** Answer to a forwarded request, before its body is sent. `hasAccess`: a second one, when the VM has taken the request's own token. */
export const proofSchema = z.strictObject({
  nonce: z.string(),
  isHere: z.boolean(),
  hasAccess: z.literal(true).optional(),
});
export type Proof = z.output<typeof proofSchema>;

/** Question to a VM which server has it. */
export const questionSchema = z.strictObject({ ...fresh, actorId: z.string() });

/** How a VM is. A newer server may tell more. */
export const factsSchema = z.object({
  state: z.enum(["awake", "booting", "sleeping"]),
  processes: z.number(),
  lastUsedAt: z.number(),
  labels: z.record(z.string(), z.string()),
  /** Bytes of its files; absent if the VM does not know them. */
  storedBytes: z.number().optional(),
  use: z
    .object({
      memoryBytes: z.number().nullable(),
      cpuMs: z.number().nullable(),
      diskBytes: z.number().nullable(),
      promptsRunning: z.number(),
    })
    .optional(),
});

/** State of a VM that runs, as a list shows it. */
export type LiveFacts = z.output<typeof factsSchema>;

/** Answer of a VM to that question. */
export const placeSchema = z.strictObject({
  nonce: z.string(),
  server: z.string(),
  url: z.string(),
  vm: vmName,
});

/** Address of a server, as the engine shows it to the others. A newer server may tell more. */
export const addressSchema = z.object({ server: z.string(), url: z.string() });

/**
 * Question to a server how VMs are. `to`: the server for which it is meant. `use`: and what they use. A newer server may ask more.
 */
export const factsQuestionSchema = z.object({
  ...fresh,
  to: z.string(),
  actorIds: z.array(z.string()),
  use: z.literal(true).optional(),
});

/** Answer of a server to that question: facts of the VMs that are awake there, by the id of their actor. Each is checked by itself. */
export const factsAnswerSchema = z.object({
  nonce: z.string(),
  facts: z.record(z.string(), z.unknown()),
});

/** How VMs are, by the id of their actor. */
export type Facts = Record<string, LiveFacts>;

/** Bytes of a scope that goes on whole, as JSON. The scope of every token has fewer. */
const MAX_SCOPE_BYTES = 4096;

/**
 * Returns the rights of a sender for the server that has its VM. They keep their scope, because `fork` needs the reach of another key. A
 * longer scope, which only an answer of `authorize` can have, does not fit the head of a request: it becomes that of the VM.
 */
export function grantFor(whole: Grant, vm: VmName): Grant {
  if (Buffer.byteLength(JSON.stringify(whole.vms)) <= MAX_SCOPE_BYTES) return whole;
  const { asked: _, ...rest } = whole;
  return { ...rest, vms: { keys: [[...vm.key]], actors: [vm.name] } };
}
