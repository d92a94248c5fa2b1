import { randomBytes } from "node:crypto";
import type { PreviewOptions } from "../../../api/methods/previews.ts";
import { NAMED_PREVIEW_SECONDS, PREVIEW_SECONDS } from "../limits.ts";
import { hashPassword, isPassword } from "./password.ts";
import type { PreviewLock, PreviewRecord, PreviewSettings } from "./preview-record.ts";

const KEY_BYTES = 32;

/** Makes the record of a preview. @param before the preview whose place it takes: a password that stays keeps its logins */
export async function recordOf(
  port: number,
  options: PreviewOptions,
  before: PreviewRecord | undefined,
): Promise<PreviewRecord> {
  const { name, access, auth, cors, host, log } = options;
  const { expiresInSeconds = name === undefined ? PREVIEW_SECONDS : NAMED_PREVIEW_SECONDS } = options;
  const settings: PreviewSettings = {
    ...(access === "token" && { access }),
    ...(cors !== undefined && cors !== "*" && { cors }),
    ...(host !== undefined && { host }),
    ...(log === true && { log }),
  };
  const lock = await lockOf(auth?.password, access === "token", before?.lock);
  const now = Date.now();
  return {
    port,
    createdAt: before?.createdAt ?? now,
    expiresAt: now + expiresInSeconds * 1000,
    ...(name !== undefined && { name }),
    settings,
    ...(lock && { lock }),
  };
}

async function lockOf(
  password: string | undefined,
  takesTokens: boolean,
  before: PreviewLock | undefined,
): Promise<PreviewLock | undefined> {
  if (password === undefined && !takesTokens) return undefined;
  const key = randomBytes(KEY_BYTES).toString("base64");
  if (password === undefined) return before !== undefined && !before.password ? before : { key };
  if (before?.password !== undefined && (await isPassword(password, before.password))) return before;
  return { password: await hashPassword(password), key };
}

/** Returns whether a preview serves as before. */
export function isSame(one: PreviewRecord, other: PreviewRecord): boolean {
  const shown = ({ port, settings, lock }: PreviewRecord) => JSON.stringify([port, settings, lock]);
  return shown(one) === shown(other);
}
