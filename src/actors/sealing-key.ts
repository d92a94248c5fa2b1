import { hkdfSync } from "node:crypto";

const KEY_BYTES = 32;

/** Derives the key for the secrets in the store of one VM from the server's secret. */
export function sealingKeyOf(secret: Uint8Array, actorId: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", secret, "", `agent-vm secrets of ${actorId}`, KEY_BYTES));
}
