import { hkdfSync } from "node:crypto";

const KEY_BYTES = 32;

/** Derives a key of 32 bytes from the server's secret, for one purpose. */
export function derivedKey(secret: Uint8Array, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", secret, "", `agent-vm ${purpose}`, KEY_BYTES));
}
