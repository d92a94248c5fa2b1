import type { SecretPart } from "../../../../api/methods/secrets.ts";
import { MAX_PLACEHOLDER_GROWTH_BYTES } from "../../limits.ts";
import type { Credential } from "./rules.ts";

const PLACEHOLDER = /AGENT_SECRET_([A-Za-z_][A-Za-z0-9_]*)/g;
const BASIC = /^(basic +)([A-Za-z0-9+/]+={0,2})$/i;

/** How a value is written into a text. */
type Encode = (value: string) => string;

const plain: Encode = (value) => value;
const inJson: Encode = (value) => JSON.stringify(value).slice(1, -1);

/** The server refuses to send a program's request. The message says why. */
export class RequestRefused extends Error {}

/**
 * Replaces the placeholders in the parts of one request in which its credentials allow it. Every method throws
 * RequestRefused once the request has grown by more than MAX_PLACEHOLDER_GROWTH_BYTES.
 */
export class Placeholders {
  readonly #credentials: readonly Credential[];
  /** Texts of basic authentication that hold a value to mask. */
  readonly encoded = new Set<string>();
  #growth = 0;

  constructor(credentials: readonly Credential[]) {
    this.#credentials = credentials.filter(({ placeholderIn }) => placeholderIn.size > 0);
  }

  /** Whether a part may have placeholders. */
  looksInto(part: SecretPart): boolean {
    return this.#credentials.some(({ placeholderIn }) => placeholderIn.has(part));
  }

  /** Makes a function that takes the pieces of a part. It returns the first placeholder that would be replaced in it. */
  finder(part: SecretPart): (piece: Buffer) => string | undefined {
    const texts = this.#credentials
      .filter(({ placeholderIn }) => placeholderIn.has(part))
      .map(({ name }) => `AGENT_SECRET_${name}`);
    const kept = Math.max(0, ...texts.map(({ length }) => length)) - 1;
    let rest = Buffer.alloc(0);
    return (piece) => {
      const bytes = Buffer.concat([rest, piece]);
      rest = bytes.subarray(Math.max(0, bytes.length - kept));
      return texts.find((text) => bytes.includes(text));
    };
  }

  /** Replaces placeholders in a header, also inside the encoded text of basic authentication. */
  inHeader(name: string, value: string): string {
    if (!this.looksInto("headers")) return value;
    const [, scheme = "", encoded = ""] = /^(?:proxy-)?authorization$/.test(name)
      ? (BASIC.exec(value) ?? [])
      : [];
    if (encoded === "") return this.#replace(value, "headers", plain);
    const decoded = Buffer.from(encoded, "base64").toString("latin1");
    const replaced = this.#replace(decoded, "headers", plain);
    if (replaced === decoded) return value;
    const made = Buffer.from(replaced, "latin1").toString("base64");
    if (this.#credentials.some((one) => one.mask && replaced.includes(one.value))) this.encoded.add(made);
    return scheme + made;
  }

  /** Replaces placeholders in the query of a path. */
  inTarget(target: string): string {
    const at = target.indexOf("?");
    if (at < 0 || !this.looksInto("query")) return target;
    return target.slice(0, at) + this.#replace(target.slice(at), "query", encodeURIComponent);
  }

  /** Replaces placeholders in a body. @param type its content type, which says how a value is written */
  inBody(body: Buffer, type: string): Buffer {
    const encode = /json/i.test(type) ? inJson : /urlencoded/i.test(type) ? encodeURIComponent : plain;
    // A character of Latin-1 is a byte, so that bytes of any encoding stay as they are.
    const text = body.toString("latin1");
    const replaced = this.#replace(text, "body", (value) => Buffer.from(encode(value)).toString("latin1"));
    return replaced === text ? body : Buffer.from(replaced, "latin1");
  }

  #replace(text: string, part: SecretPart, encode: Encode): string {
    return text.replace(PLACEHOLDER, (placeholder, name: string) => {
      const found = this.#credentials.find((one) => one.name === name && one.placeholderIn.has(part));
      if (found === undefined) return placeholder;
      const value = encode(found.value);
      this.#grow(value.length - placeholder.length);
      return value;
    });
  }

  /** A short placeholder may stand for a long value, so a small request could become one of gigabytes. */
  #grow(bytes: number): void {
    this.#growth += Math.max(0, bytes);
    if (this.#growth <= MAX_PLACEHOLDER_GROWTH_BYTES) return;
    throw new RequestRefused(
      `placeholders make the request longer by more than ${MAX_PLACEHOLDER_GROWTH_BYTES} bytes (MAX_PLACEHOLDER_GROWTH_BYTES)`,
    );
  }
}
