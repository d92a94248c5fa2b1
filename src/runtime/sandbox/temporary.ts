import { randomBytes } from "node:crypto";

const PREFIX = ".agent-vm-";
const PATTERN = /^\.agent-vm-[0-9a-f]{24}$/;

/** An unguessable name for a file that is not in place yet; no listing shows such names. */
export function temporaryName(): string {
  return PREFIX + randomBytes(12).toString("hex");
}

export function isTemporaryName(name: string): boolean {
  return name.startsWith(PREFIX) && PATTERN.test(name);
}
