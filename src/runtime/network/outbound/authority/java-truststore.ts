import { createHash } from "node:crypto";

/** Java's own format of a store of certificates (JKS), which every Java reads. */
const MAGIC = 0xfeed_feed;
const VERSION = 2;
const TRUSTED_CERTIFICATE = 2;
const TYPE = "X.509";

/** Password of every store that Java comes with. It protects nothing. */
const PASSWORD = Buffer.from("changeit", "utf16le").swap16();
const SALT = "Mighty Aphrodite";

/** Writes a store of trusted authorities. @param certificates in DER */
export function javaTruststore(certificates: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt32BE(MAGIC, 0);
  head.writeUInt32BE(VERSION, 4);
  head.writeUInt32BE(certificates.length, 8);
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(BigInt(Date.now()));
  const entries = certificates.flatMap((der, index) => [
    uint32(TRUSTED_CERTIFICATE),
    text(`authority-${index}`),
    time,
    text(TYPE),
    uint32(der.byteLength),
    der,
  ]);
  const content = Buffer.concat([head, ...entries]);
  const digest = createHash("sha1").update(PASSWORD).update(SALT).update(content).digest();
  return Buffer.concat([content, digest]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** @param ascii at most 65,535 characters */
function text(ascii: string): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(ascii.length);
  return Buffer.concat([length, Buffer.from(ascii, "latin1")]);
}
