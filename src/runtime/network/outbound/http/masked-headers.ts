import { endToEnd, type HeaderPair } from "../../requests/end-to-end.ts";
import type { Mask } from "../credentials/mask.ts";

/** Headers that name the coding of a response's body, or of its messages. */
const CODINGS = new Set(["content-encoding", "grpc-encoding"]);

/**
 * Returns the headers of a response, without secrets to mask.
 *
 * @throws Error for a response in a coding that hides a secret from its mask
 */
export function maskedHeaders(raw: readonly string[], mask: Mask): HeaderPair[] {
  const pairs = endToEnd(raw);
  if (mask.isEmpty) return pairs;
  const coded = pairs.find(([name, value]) => CODINGS.has(name) && !/^identity$/i.test(value));
  if (coded !== undefined)
    throw new Error(`the response is coded (${coded[1]}), so that its secrets cannot be masked`);
  return pairs.map(([name, value]) => [name, mask.text(value)]);
}
