/** A value that only one or the other encoding has: its JSON text, and its CBOR as hexadecimal digits. */
export class Raw {
  readonly name: string;
  readonly json: string;
  readonly cbor: string;

  constructor(name: string, json: string, cbor: string) {
    this.name = name;
    this.json = json;
    this.cbor = cbor;
  }
}

export type Encoding = "json" | "cbor";

/** Encodes as RivetKit's clients do, also values that they refuse. */
export function encode(encoding: Encoding, value: unknown): Buffer {
  return encoding === "json" ? Buffer.from(toJson(value)) : Buffer.concat([...toCbor(value)]);
}

function toJson(value: unknown): string {
  if (value instanceof Raw) return value.json;
  if (value instanceof Uint8Array) return `["$Uint8Array","${Buffer.from(value).toString("base64")}"]`;
  if (Array.isArray(value)) return `[${value.map((item) => toJson(item)).join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}:${toJson(item)}`);
  return `{${entries.join()}}`;
}

function* toCbor(value: unknown): Generator<Buffer> {
  if (value instanceof Raw) yield Buffer.from(value.cbor, "hex");
  else if (value instanceof Uint8Array) {
    yield head(2, value.length);
    yield Buffer.from(value);
  } else if (typeof value === "string") {
    const bytes = Buffer.from(value);
    yield head(3, bytes.length);
    yield bytes;
  } else if (typeof value === "number") {
    const bytes = Buffer.alloc(9, 0xfb);
    bytes.writeDoubleBE(value, 1);
    yield bytes;
  } else if (Array.isArray(value)) {
    yield head(4, value.length);
    for (const item of value) yield* toCbor(item);
  } else if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value);
    yield head(5, entries.length);
    for (const [key, item] of entries) {
      yield* toCbor(key);
      yield* toCbor(item);
    }
  } else yield Buffer.from([value === false ? 0xf4 : value === true ? 0xf5 : value === null ? 0xf6 : 0xf7]);
}

function head(kind: number, length: number): Buffer {
  const bytes = Buffer.alloc(5, (kind << 5) | 26);
  bytes.writeUInt32BE(length, 1);
  return bytes;
}
