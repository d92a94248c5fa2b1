import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";

const CIPHER = "aes-256-gcm";
const VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Encrypts records with a key that is not beside them: secrets in a VM's store, cookies in a browser. */
export class Sealer {
  readonly #key: Uint8Array;

  /** @param key 32 bytes, for one purpose only: of one VM, or of the cookies of a server */
  constructor(key: Uint8Array) {
    this.#key = key;
  }

  /** @param place key of the record: a record that is moved to another place does not open */
  seal(place: string, content: Uint8Array): Buffer {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.#key, nonce).setAAD(Buffer.from(place));
    const sealed = Buffer.concat([cipher.update(content), cipher.final()]);
    return Buffer.concat([Buffer.from([VERSION]), nonce, cipher.getAuthTag(), sealed]);
  }

  /** @throws Error for a record of another key, another place or a newer version, and for a damaged one */
  open(place: string, record: Uint8Array): Buffer {
    const bytes = Buffer.from(record);
    const content = 1 + NONCE_BYTES + TAG_BYTES;
    if (bytes[0] !== VERSION || bytes.byteLength < content) throw new Error("the record has another format");
    const decipher = createDecipheriv(CIPHER, this.#key, bytes.subarray(1, 1 + NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(Buffer.from(place)).setAuthTag(bytes.subarray(1 + NONCE_BYTES, content));
    return Buffer.concat([decipher.update(bytes.subarray(content)), decipher.final()]);
  }
}
