import { z } from "zod";
import { MAX_TOKEN_SECONDS } from "../../../api/limits.ts";
import type { Right } from "../../../api/rights.ts";
import { listAll, type Store, tryDecodeJson } from "../../../runtime/store/store.ts";
import type { StoredToken } from "../token-store.ts";
import type { RevokedNote } from "./revoked-list.ts";

/** Keys of the actor's storage: valid tokens, and revoked ones until they expire. */
export const [VALID, REVOKED] = ["token/", "revoked/"] as const;

const tokenSchema: z.ZodType<StoredToken> = z.object({
  id: z.string(),
  parent: z.string().nullable(),
  owner: z.string().nullable(),
  label: z.string(),
  createdAt: z.number(),
  lifetimeMs: z.number(),
  expiresAt: z.number(),
  latest: z.number().nullable(),
  may: z.array(z.custom<Right>((right) => typeof right === "string")),
  vms: z.custom<StoredToken["vms"]>((vms) => typeof vms === "object" && vms !== null),
});

const validSchema = z.object({ number: z.int().positive().optional(), token: tokenSchema });

/** A note of a valid token, and the place of the token in the order of all. */
export type ValidNote = z.output<typeof validSchema>;

// Earlier versions stored the end alone.
const revokedSchema: z.ZodType<RevokedNote> = z.union([
  z.object({ end: z.number(), owner: z.string().nullable() }),
  z.number().transform((end) => ({ end, owner: null })),
]);

/** Reads the notes of revoked tokens. @param onDamaged receives the keys of notes that cannot be read */
export async function* revokedIn(
  store: Store,
  onDamaged: (key: string) => void,
): AsyncGenerator<[key: string, id: string, note: RevokedNote]> {
  for await (const [key, value] of listAll(store, REVOKED)) {
    const { data } = revokedSchema.safeParse(tryDecodeJson(value));
    if (data === undefined) onDamaged(key);
    // The token of a damaged note was revoked all the same.
    const note = data ?? { end: Date.now() + MAX_TOKEN_SECONDS * 1000, owner: null };
    yield [key, key.slice(REVOKED.length), note];
  }
}

/** Reads the notes of valid tokens. @param onDamaged receives the keys of notes that cannot be read, which are left out */
export async function* validIn(
  store: Store,
  onDamaged: (key: string) => void,
): AsyncGenerator<[key: string, note: ValidNote]> {
  for await (const [key, value] of listAll(store, VALID)) {
    const { data } = validSchema.safeParse(tryDecodeJson(value));
    if (data?.token.id === key.slice(VALID.length)) yield [key, data];
    else onDamaged(key);
  }
}
