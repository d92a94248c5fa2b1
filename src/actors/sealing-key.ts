import { derivedKey } from "../base/derived-key.ts";

/**
 * Derives the key for the secrets of one place from the server's secret.
 *
 * @param place id of an actor, for its store; `fork TICKET` for the way to a fork
 */
export function sealingKeyOf(secret: Uint8Array, place: string): Uint8Array {
  return derivedKey(secret, `secrets of ${place}`);
}
