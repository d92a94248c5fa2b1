import { AgentVmError } from "../../api/errors.ts";

/** Returns whether a call failed because its path does not exist. */
export function isMissing(error: unknown): boolean {
  return error instanceof AgentVmError && (error.code === "ENOENT" || error.code === "ENOTDIR");
}

/** Returns the result of a call, or `null` if its path does not exist. */
export async function orNull<Value>(call: Promise<Value>): Promise<Value | null> {
  try {
    return await call;
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** Returns the text of an error for a model or a user: code, message and remedy. */
export function errorText(error: unknown): string {
  if (!(error instanceof AgentVmError)) return error instanceof Error ? error.message : String(error);
  const { code, message, metadata } = error;
  const shown = message.startsWith(code) ? message : `${code}: ${message}`;
  return metadata.hint === undefined ? shown : `${shown}\n${metadata.hint}`;
}
