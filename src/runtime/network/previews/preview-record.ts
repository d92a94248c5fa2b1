import { z } from "zod";
import type { PreviewInfo } from "../../../api/methods/previews.ts";
import { parseJson } from "../../../base/json.ts";

const text = z.string();

/** Options of a preview beyond its port and life. */
const settingsSchema = z.object({
  access: z.enum(["public", "token"]).optional(),
  cors: z.union([z.literal("app"), z.array(text)]).optional(),
  host: text.optional(),
  log: z.literal(true).optional(),
});

/** Credentials that a preview asks of its visitors. */
const lockSchema = z.object({
  /** Hash of the password; absent if only tokens open the preview. */
  password: z.object({ salt: text, hash: text }).optional(),
  /** Signs the cookies of browsers that have logged in. */
  key: text,
});

const recordSchema = z.object({
  port: z.number(),
  createdAt: z.number(),
  expiresAt: z.number(),
  name: text.optional(),
  /** The token of a preview with a name, encrypted, so that its URL can be answered again. */
  sealed: text.optional(),
  settings: settingsSchema.default({}),
  lock: lockSchema.optional(),
});

/** Options of a preview that change how it serves. */
export type PreviewSettings = z.output<typeof settingsSchema>;

/** Credentials that a preview asks of its visitors. */
export type PreviewLock = z.output<typeof lockSchema>;

/** A preview as the store has it, below the hash of its token. */
export type PreviewRecord = z.output<typeof recordSchema>;

export function encodeRecord(record: PreviewRecord): Uint8Array {
  return Buffer.from(JSON.stringify(record));
}

/** @returns `undefined` for a record of an unknown format, which opens nothing */
export function decodeRecord(value: Uint8Array): PreviewRecord | undefined {
  return recordSchema.safeParse(parseJson(Buffer.from(value).toString())).data;
}

/** Returns whether an older server, which knows only ports and times, would serve a preview as it should. */
export function isPlain({ name, lock, settings }: PreviewRecord): boolean {
  return name === undefined && lock === undefined && Object.keys(settings).length === 0;
}

/** Returns what a list shows of a preview. */
export function infoOf(id: string, record: PreviewRecord): PreviewInfo {
  const { port, createdAt, expiresAt, name, settings, lock } = record;
  return {
    id,
    port,
    createdAt,
    expiresAt,
    ...(name !== undefined && { name }),
    ...settings,
    ...(lock?.password !== undefined && { hasPassword: true as const }),
  };
}
