import { createHash, type KeyObject, randomBytes, sign } from "node:crypto";
import { isIP, isIPv4 } from "node:net";
import {
  BitString,
  Boolean as Bool,
  Constructed,
  fromBER,
  GeneralizedTime,
  Integer,
  ObjectIdentifier,
  OctetString,
  Primitive,
  Sequence,
  Set as SetOf,
  UTCTime,
  Utf8String,
} from "asn1js";

const OID = {
  commonName: "2.5.4.3",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  subjectKeyId: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyId: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
} as const;

/** Bits of the key usages of an authority (certificates, revocation lists) and of a server (signatures), and their unused bits. */
const AUTHORITY_USAGE = [0x06, 1] as const;
const SERVER_USAGE = [0x80, 7] as const;

/** Version 3 of X.509. */
const VERSION = 2;

const SERIAL_BYTES = 16;

/** Length of the longest common name (RFC 5280). The names that count are in the extension. */
const MAX_COMMON_NAME = 64;

/** Tags of a name and an address in an alternative name. */
const DNS_NAME = 2;
const IP_ADDRESS = 7;

/** Class of tags whose meaning depends on their place. */
const CONTEXT = 3;

type Block = Constructed | Primitive | Sequence;

/** A certificate to sign, for a key on the curve P-256. */
export interface CertificateRequest {
  /** Common name of the subject. */
  subject: string;
  publicKey: KeyObject;
  /** Common name of the authority, and its keys. */
  issuer: { name: string; publicKey: KeyObject; privateKey: KeyObject };
  /** Names and addresses of a server; `undefined` for an authority. */
  hosts?: readonly string[];
  from: Date;
  until: Date;
}

/** Signs a certificate (RFC 5280) with ECDSA and SHA-256. @returns its DER */
export function signCertificate(request: CertificateRequest): Buffer {
  const { subject, publicKey, issuer, from, until } = request;
  const serial = randomBytes(SERIAL_BYTES);
  // A serial number is positive, and its first byte must not be dropped.
  serial[0] = ((serial[0] as number) & 0x7f) | 0x40;
  const body = new Sequence({
    value: [
      tagged(0, [new Integer({ value: VERSION })]),
      new Integer({ valueHex: bufferOf(serial) }),
      algorithm(),
      nameOf(issuer.name),
      new Sequence({ value: [timeOf(from), timeOf(until)] }),
      nameOf(subject),
      fromBER(bufferOf(publicKey.export({ type: "spki", format: "der" }))).result as Sequence,
      tagged(3, [new Sequence({ value: extensionsOf(request) })]),
    ],
  });
  const signature = sign("sha256", Buffer.from(body.toBER()), issuer.privateKey);
  return Buffer.from(
    new Sequence({ value: [body, algorithm(), new BitString({ valueHex: bufferOf(signature) })] }).toBER(),
  );
}

/** Writes a certificate as PEM. */
export function toPem(der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}

function extensionsOf({ hosts, publicKey, issuer }: CertificateRequest): Sequence[] {
  const authority = extension(
    OID.authorityKeyId,
    new Sequence({ value: [primitive(0, keyIdOf(issuer.publicKey))] }),
  );
  const own = extension(OID.subjectKeyId, new OctetString({ valueHex: bufferOf(keyIdOf(publicKey)) }));
  if (hosts === undefined) {
    const isAuthority = new Sequence({ value: [new Bool({ value: true }), new Integer({ value: 0 })] });
    return [
      extension(OID.basicConstraints, isAuthority, CRITICAL),
      extension(OID.keyUsage, bits(AUTHORITY_USAGE), CRITICAL),
      own,
      authority,
    ];
  }
  return [
    extension(OID.basicConstraints, new Sequence({ value: [] }), CRITICAL),
    extension(OID.keyUsage, bits(SERVER_USAGE), CRITICAL),
    extension(
      OID.extendedKeyUsage,
      new Sequence({ value: [new ObjectIdentifier({ value: OID.serverAuth })] }),
    ),
    extension(OID.subjectAltName, new Sequence({ value: hosts.map(alternativeName) })),
    own,
    authority,
  ];
}

function alternativeName(host: string): Primitive {
  return isIP(host) === 0
    ? primitive(DNS_NAME, Buffer.from(host, "latin1"))
    : primitive(IP_ADDRESS, addressBytes(host));
}

/** @param address canonical */
function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split(".").map(Number));
  const [before = "", after] = address.split("::");
  const words = (text: string) =>
    (text === "" ? [] : text.split(":")).map((word) => Number.parseInt(word, 16));
  const [left, right] = [words(before), words(after ?? "")];
  const all = [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right];
  return Buffer.from(all.flatMap((word) => [word >> 8, word & 0xff]));
}

/** An extension that a client must understand. */
const CRITICAL = { isCritical: true };

function extension(
  id: string,
  value: Block | OctetString | BitString,
  { isCritical } = { isCritical: false },
): Sequence {
  return new Sequence({
    value: [
      new ObjectIdentifier({ value: id }),
      ...(isCritical ? [new Bool({ value: true })] : []),
      new OctetString({ valueHex: value.toBER() }),
    ],
  });
}

function nameOf(text: string): Sequence {
  const attribute = new Sequence({
    value: [
      new ObjectIdentifier({ value: OID.commonName }),
      new Utf8String({ value: text.slice(0, MAX_COMMON_NAME) }),
    ],
  });
  return new Sequence({ value: [new SetOf({ value: [attribute] })] });
}

/** RFC 5280 wants the short form until 2049, the long one after it. */
function timeOf(date: Date): UTCTime | GeneralizedTime {
  return date.getUTCFullYear() < 2050
    ? new UTCTime({ valueDate: date })
    : new GeneralizedTime({ valueDate: date });
}

function algorithm(): Sequence {
  return new Sequence({ value: [new ObjectIdentifier({ value: OID.ecdsaWithSha256 })] });
}

/** Identifies a key by the hash of its DER. */
function keyIdOf(key: KeyObject): Buffer {
  return createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest()
    .subarray(0, 20);
}

function bits([byte, unusedBits]: readonly [number, number]): BitString {
  return new BitString({ valueHex: bufferOf(Buffer.from([byte])), unusedBits });
}

function tagged(tagNumber: number, value: Block[] | Integer[]): Constructed {
  return new Constructed({ idBlock: { tagClass: CONTEXT, tagNumber }, value });
}

function primitive(tagNumber: number, bytes: Buffer): Primitive {
  return new Primitive({ idBlock: { tagClass: CONTEXT, tagNumber }, valueHex: bufferOf(bytes) });
}

function bufferOf(bytes: Buffer): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}
