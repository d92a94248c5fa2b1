import { z } from "zod";
import {
  MAX_KEY_BYTES,
  MAX_KEY_PARTS,
  MAX_LISTED_VMS,
  MAX_TOKEN_BYTES,
  MAX_TOKEN_KEYS,
  MAX_TOKEN_LABEL_BYTES,
  MAX_TOKEN_SECONDS,
} from "./limits.ts";
import { type Input, takes } from "./methods/method.ts";
import { RIGHT_NAMES, type Right } from "./rights.ts";
import { fitsUtf8 } from "./size.ts";
import { id, integer } from "./values.ts";

/** VMs whose keys begin with these parts. */
export interface VmPrefix {
  /**
   * First parts of the keys: `"alice"` covers `["alice"]` and `["alice", "1"]`, and not `["alicia"]`. `""` covers every key.
   */
  prefix: string | string[];
}

/** Options of `client.tokens.create()`. */
export interface CreateTokenOptions {
  /** The VMs that the token reaches: a key, an array of keys, or a prefix of keys. They need not exist. */
  vms: string | (string | string[])[] | VmPrefix;
  /** Rights of the token. */
  may: Right[];
  /** Seconds until the token expires, 1 to 31,622,400 (366 days). @default 3600 */
  expiresIn?: number;
  /** Text for people that `client.tokens.list()` shows. @default "" */
  label?: string;
  /** Names of the actors in the registry whose VMs the token reaches. @default every actor */
  actors?: string[];
}

/** A token that was made or renewed. */
export interface IssuedToken {
  /** The token, for `createClient({ token })`. The server does not keep it. */
  token: string;
  /** Id of the token, for `revoke` and `renew`. */
  id: string;
  /** Time at which the token expires, in milliseconds since the Unix epoch. */
  expiresAt: number;
}

/** A token in a list. */
export interface TokenInfo {
  /** Id of the token. */
  id: string;
  /** Label of the token. */
  label: string;
  /** The VMs that the token reaches: keys, or a prefix. */
  vms: string[][] | VmPrefix;
  /** Names of actors that the token is bound to; `null`: every actor. */
  actors: string[] | null;
  /** Rights of the token. */
  may: Right[];
  /** Time at which the token was made, in milliseconds since the Unix epoch. */
  createdAt: number;
  /** Time at which the token expires, in milliseconds since the Unix epoch. */
  expiresAt: number;
}

/** Options of `client.tokens.list()`. */
export interface ListTokensOptions {
  /** Largest number of tokens in the answer, 1 to 1,000. @default 100 */
  limit?: number;
  /** `cursor` of the previous page. @default the first page */
  cursor?: string;
}

/** A page of tokens, oldest first. */
export interface TokenPage {
  /** The tokens. */
  tokens: TokenInfo[];
  /** Pass it as `cursor` for the next page; `null` on the last page. */
  cursor: string | null;
}

const KEY = `a key of 1 to ${MAX_KEY_PARTS} strings and ${MAX_KEY_BYTES} bytes`;

const key = z
  .array(z.string({ error: KEY }), { error: KEY })
  .max(MAX_KEY_PARTS, { error: KEY })
  .refine((parts) => fitsUtf8(parts.join("/"), MAX_KEY_BYTES), { error: KEY });

const text = z
  .string()
  .transform((part) => [part])
  .pipe(key);

const VMS = `a key, an array of at most ${MAX_TOKEN_KEYS} keys, or { prefix }`;

/** Schema of the VMs that a token reaches. */
export const vmScope = z.union(
  [
    text.transform((only) => ({ keys: [only] })),
    z
      .array(z.union([text, key]))
      .min(1)
      .max(MAX_TOKEN_KEYS)
      .transform((keys) => ({ keys })),
    z.strictObject({ prefix: z.union([text, key.min(1)]) }),
  ],
  { error: VMS },
);

/** Schema of rights. */
export const rights: z.ZodType<Right[]> = z
  .array(z.enum(RIGHT_NAMES as [Right, ...Right[]], { error: `one of ${RIGHT_NAMES.join(", ")}` }), {
    error: "an array of rights",
  })
  .min(1, { error: "at least one right" })
  .transform((may) => [...new Set(may)]);

const createOptions = z.strictObject(
  {
    vms: vmScope,
    may: rights,
    expiresIn: integer(1, MAX_TOKEN_SECONDS, `seconds from 1 to ${MAX_TOKEN_SECONDS}`).default(3600),
    label: z
      .string({ error: "a string" })
      .refine((given) => fitsUtf8(given, MAX_TOKEN_LABEL_BYTES), {
        error: `at most ${MAX_TOKEN_LABEL_BYTES} bytes`,
      })
      .default(""),
    actors: z
      .array(id, { error: "an array of names" })
      .min(1, { error: "at least one name" })
      .max(MAX_TOKEN_KEYS, { error: `at most ${MAX_TOKEN_KEYS} names` })
      .optional(),
  },
  { error: "an object" },
);

/** Checked options of `client.tokens.create()`. */
export type TokenRequest = z.output<typeof createOptions>;

/** The arguments of `client.tokens.create()`. */
export const CREATE_TOKEN_INPUT: Input<[TokenRequest]> = takes(["options", createOptions]);

const limit = `an integer from 1 to ${MAX_LISTED_VMS}`;

const listOptions = z.strictObject({
  limit: integer(1, MAX_LISTED_VMS, limit).default(100),
  cursor: z.string({ error: "a string" }).max(MAX_TOKEN_BYTES, { error: "the cursor of a page" }).optional(),
});

/** Checked options of `client.tokens.list()`. */
export type TokenQuery = z.output<typeof listOptions>;

/** The arguments of `client.tokens.list()`. */
export const LIST_TOKENS_INPUT: Input<[TokenQuery]> = takes(["options", listOptions.prefault({})]);

/** The arguments of `client.tokens.revoke()`. */
export const REVOKE_TOKEN_INPUT: Input<[string]> = takes(["id", id]);

/** The arguments of `client.tokens.renew()`. */
export const RENEW_TOKEN_INPUT: Input<[string | undefined]> = takes(["id", id.optional()]);
