import type { SecretPart } from "../../../../api/methods/secrets.ts";
import type { Credential } from "./rules.ts";

const PLACEHOLDER = /AGENT_SECRET_([A-Za-z_][A-Za-z0-9_]*)/g;
const BASIC = /^(basic +)([A-Za-z0-9+/]+={0,2})$/i;

/** How a value is written into a text. */
type Encode = (value: string) => string;

const plain: Encode = (value) => value;
const inJson: Encode = (value) => JSON.stringify(value).slice(1, -1);

/** Replaces the placeholders in the parts of a request in which its credentials allow it. */
export class Placeholders {
  readonly #credentials: readonly Credential[];

  constructor(credentials: readonly Credential[]) {
    this.#credentials = credentials.filter(({ placeholderIn }) => placeholderIn.size > 0);
  }

  /** Whether a part may have placeholders. */
  looksInto(part: SecretPart): boolean {
    return this.#credentials.some(({ placeholderIn }) => placeholderIn.has(part));
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
    return replaced === decoded ? value : scheme + Buffer.from(replaced, "latin1").toString("base64");
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
      return found === undefined ? placeholder : encode(found.value);
    });
  }
}
