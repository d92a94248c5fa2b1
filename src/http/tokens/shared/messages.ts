import { z } from "zod";
import type { TokenQuery, TokenRequest } from "../../../api/tokens.ts";
import { grant } from "../../peers/messages.ts";
import { fresh } from "../../peers/seal.ts";

/** Name of the actor that notes the tokens of all servers behind an engine, and its key. */
export const TOKEN_ACTOR = { name: "agent-vm-tokens", key: ["tokens"] };

/** Path of the actor at which servers ask it. */
export const TOKENS_PATH = "/agent-vm/tokens";

/** Revoked tokens that one answer names. */
export const REVOKED_STEP = 10_000;

/**
 * Question of a server, which has checked the arguments. `revoked` asks for the tokens that were revoked after the first `after` of an
 * `epoch`.
 */
export const askedSchema = z.discriminatedUnion("method", [
  z.strictObject({ ...fresh, method: z.literal("create"), grant, request: z.custom<TokenRequest>() }),
  z.strictObject({ ...fresh, method: z.literal("list"), grant, query: z.custom<TokenQuery>() }),
  z.strictObject({ ...fresh, method: z.literal("revoke"), grant, id: z.string() }),
  z.strictObject({ ...fresh, method: z.literal("renew"), grant, id: z.string().optional() }),
  z.strictObject({ ...fresh, method: z.literal("isMadeAs"), id: z.string(), label: z.string() }),
  z.strictObject({ ...fresh, method: z.literal("revoked"), epoch: z.string(), after: z.int().min(0) }),
]);
export type Asked = z.output<typeof askedSchema>;

/** A question without what makes it fresh. */
export type Question = Asked extends infer Each ? Omit<Each, "at" | "nonce"> & Partial<Each> : never;

export const answerSchema = z.strictObject({
  nonce: z.string(),
  result: z.unknown().optional(),
  error: z
    .strictObject({
      code: z.string(),
      message: z.string(),
      metadata: z.record(z.string(), z.unknown()),
    })
    .optional(),
});

/** Ids and ends of tokens that were revoked, in order. */
export const revokedSchema = z.strictObject({
  epoch: z.string(),
  /** How many of the epoch come before these. */
  after: z.int(),
  tokens: z.array(z.tuple([z.string(), z.number()])),
});
export type RevokedPage = z.output<typeof revokedSchema>;
