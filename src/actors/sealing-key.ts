import { hkdfSync } from "node:crypto";

const KEY_BYTES = 32;

/**
 * Derives the key for the secrets of one place from the server's secret.
 *
 * @param place id of an actor, for its store; `fork TICKET` for the way to a fork
 */
export function sealingKeyOf(secret: Uint8Array, place: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", secret, "", `agent-vm secrets of ${place}`, KEY_BYTES));
}
