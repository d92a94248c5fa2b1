import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { parseJson } from "../../base/json.ts";
import { MAX_PEER_NONCES, PEER_CLOCK_MS } from "./limits.ts";

/** Header of a forwarded request, and of a question which server has a VM. */
export const PEER_HEADER = "x-agent-vm-peer";

/** Header with which the asked server shows that it has the secret, and says whether it takes the request. */
export const PROOF_HEADER = "x-agent-vm-peer-proof";

/** Purpose of a sealed text. A text for one purpose is not valid for another. */
type Purpose =
  | "request"
  | "answer"
  | "question"
  | "place"
  | "address"
  | "facts"
  | "facts answer"
  | "tokens"
  | "tokens answer";

/** Signs texts with the secret of all servers, and reads signed texts. */
export class PeerSeal {
  readonly #secret: Uint8Array;
  readonly #keys = new Map<Purpose, Buffer>();

  constructor(secret: Uint8Array) {
    this.#secret = secret;
  }

  /** Returns a value as text that only a holder of the secret can make. The text is not encrypted. */
  seal(purpose: Purpose, value: object): string {
    const content = Buffer.from(JSON.stringify(value)).toString("base64url");
    return `${content}.${this.#mac(purpose, content).toString("base64url")}`;
  }

  /** Returns the value of a sealed text; `undefined` for a text that no holder of the secret has made for this purpose. */
  open<Value>(purpose: Purpose, text: unknown, schema: z.ZodType<Value>): Value | undefined {
    if (typeof text !== "string") return undefined;
    const [content = "", mac = "", ...more] = text.split(".");
    const wanted = this.#mac(purpose, content);
    const given = Buffer.from(mac, "base64url");
    if (more.length > 0 || given.byteLength !== wanted.byteLength || !timingSafeEqual(given, wanted))
      return undefined;
    return schema.safeParse(parseJson(Buffer.from(content, "base64url").toString())).data;
  }

  #mac(purpose: Purpose, content: string): Buffer {
    let key = this.#keys.get(purpose);
    if (key === undefined) {
      key = Buffer.from(hkdfSync("sha256", this.#secret, "", `agent-vm peers: ${purpose}`, 32));
      this.#keys.set(purpose, key);
    }
    return createHmac("sha256", key).update(content).digest();
  }
}

/** Members of every request between servers: when it was made, and a number that is used once. */
export const fresh = { at: z.number(), nonce: z.string().length(24) };

export function freshly(): { at: number; nonce: string } {
  return { at: Date.now(), nonce: randomBytes(18).toString("base64url") };
}

/** Why a request between servers is refused. */
export type Stale = "clock" | "repeated" | "full";

/** Returns whether a request was made too long ago, or by a clock that is too far ahead. */
export function isLate({ at }: { at: number }): boolean {
  return Math.abs(Date.now() - at) > PEER_CLOCK_MS;
}

/** The requests that a server has taken, each of which it takes once. */
export class Nonces {
  /** Times at which requests are too old anyway, by nonce, in order. */
  readonly #taken = new Map<string, number>();

  /** Notes a request. @returns why it must be refused; `undefined` if it must not */
  take(request: { at: number; nonce: string }): Stale | undefined {
    const { nonce } = request;
    // The clock of the machine may be set back.
    const now = performance.now();
    for (const [known, until] of this.#taken) {
      if (until > now) break;
      this.#taken.delete(known);
    }
    if (isLate(request)) return "clock";
    if (this.#taken.has(nonce)) return "repeated";
    if (this.#taken.size >= MAX_PEER_NONCES) return "full";
    this.#taken.set(nonce, now + 2 * PEER_CLOCK_MS);
    return undefined;
  }
}
