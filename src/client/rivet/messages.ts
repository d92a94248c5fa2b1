import { BareReader, BareWriter } from "../../base/bare.ts";
import type { Encoding } from "./config.ts";
import { decodeValue, encodeValue, fromCbor, toCbor } from "./values.ts";

/** A message of a connection to the server. */
export type ToServer =
  | { tag: "ActionRequest"; val: { id: number; name: string; args: unknown[] } }
  | { tag: "SubscriptionRequest"; val: { eventName: string; subscribe: boolean } };

/** An error as the server sends it. */
export interface ErrorMessage {
  group: string;
  code: string;
  message: string;
  metadata?: unknown;
}

/** A message of a connection from the server. */
export type ToClient =
  | { tag: "Init"; val: { actorId: string; connectionId: string } }
  | { tag: "Error"; val: ErrorMessage & { actionId?: number | bigint | null } }
  | { tag: "ActionResponse"; val: { id: number | bigint; output: unknown } }
  | { tag: "Event"; val: { name: string; args: unknown[] } };

/** Version of RivetKit's protocol. Each message in BARE begins with it. */
const VERSION = 3;
/** Versions that differ only in parts of messages that this client neither sends nor reads. */
const READABLE_VERSIONS: readonly number[] = [2, VERSION];

const versioned = () => new BareWriter().byte(VERSION).byte(0);

/** @throws Error for another version */
function unversioned(data: Uint8Array | string): BareReader {
  if (typeof data === "string") throw new Error("The message is text");
  const reader = new BareReader(data);
  const version = reader.byte() + reader.byte() * 256;
  if (!READABLE_VERSIONS.includes(version)) throw new Error(`The message has version ${version}`);
  return reader;
}

export function encodeMessage(encoding: Encoding, message: ToServer): Uint8Array<ArrayBuffer> | string {
  const { tag, val } = message;
  if (encoding !== "bare") {
    const body = tag === "ActionRequest" ? { tag, val: { ...val, id: BigInt(val.id) } } : message;
    return encodeValue(encoding, { body }) as Uint8Array<ArrayBuffer> | string;
  }
  if (tag === "ActionRequest")
    return versioned().byte(0).integer(val.id).text(val.name).data(toCbor(val.args)).bytes();
  return versioned().byte(1).text(val.eventName).flag(val.subscribe).bytes();
}

/** Decodes a message from the server. @throws Error if it cannot be decoded */
export function decodeMessage(encoding: Encoding, data: Uint8Array | string): ToClient {
  const message =
    encoding === "bare" ? readMessage(unversioned(data)) : Object(decodeValue(encoding, data)).body;
  if (!isMessage(message)) throw new Error("The message has an unknown form");
  return message;
}

function isMessage(message: unknown): message is ToClient {
  const { tag, val } = Object(message) as { tag?: unknown; val?: unknown };
  const { id, actionId, args, ...texts } = Object(val) as Record<string, unknown>;
  const areTexts = (...names: string[]) => names.every((name) => typeof texts[name] === "string");
  const isId = (value: unknown) => typeof value === "number" || typeof value === "bigint";
  if (tag === "Init") return areTexts("actorId", "connectionId");
  if (tag === "Error") return areTexts("group", "code", "message") && (actionId == null || isId(actionId));
  if (tag === "ActionResponse") return isId(id);
  return tag === "Event" && areTexts("name") && Array.isArray(args);
}

function readMessage(reader: BareReader): unknown {
  const kind = reader.byte();
  if (kind === 0) return { tag: "Init", val: { actorId: reader.text(), connectionId: reader.text() } };
  if (kind === 1)
    return { tag: "Error", val: { ...readError(reader), actionId: reader.optional(() => reader.integer()) } };
  if (kind === 2)
    return { tag: "ActionResponse", val: { id: reader.integer(), output: fromCbor(reader.data()) } };
  if (kind === 3) return { tag: "Event", val: { name: reader.text(), args: fromCbor(reader.data()) } };
  throw new Error(`The message has the unknown kind ${kind}`);
}

/** Decodes an error that answers an HTTP request. @throws Error if it cannot be decoded */
export function decodeError(encoding: Encoding, data: Uint8Array): ErrorMessage {
  const error = encoding === "bare" ? readError(unversioned(data)) : decodeValue(encoding, data);
  const { group, code, message } = Object(error) as Partial<ErrorMessage>;
  if (typeof group !== "string" || typeof code !== "string" || typeof message !== "string")
    throw new Error("The answer is not an error");
  return error as ErrorMessage;
}

function readError(reader: BareReader): ErrorMessage {
  const error = { group: reader.text(), code: reader.text(), message: reader.text() };
  const metadata = reader.optional(() => fromCbor(reader.data()));
  return { ...error, metadata };
}

/** Encodes the body of a call over HTTP. */
export function encodeCall(encoding: Encoding, args: unknown[]): Uint8Array | string {
  return encoding === "bare" ? versioned().data(toCbor(args)).bytes() : encodeValue(encoding, { args });
}

/** Decodes the result of a call over HTTP. */
export function decodeResult(encoding: Encoding, data: Uint8Array): unknown {
  if (encoding === "bare") return fromCbor(unversioned(data).data());
  return (decodeValue(encoding, data) as { output: unknown }).output;
}

/** A message for a queue of an actor. */
export interface QueueMessage {
  name: string;
  body: unknown;
  wait: boolean;
  timeout: number | undefined;
}

/** Encodes a message for a queue of an actor. */
export function encodeQueued(encoding: Encoding, message: QueueMessage): Uint8Array | string {
  const { name, body, wait, timeout } = message;
  if (encoding !== "bare") return encodeValue(encoding, message);
  const writer = versioned().data(toCbor(body)).flag(true).text(name).flag(true).flag(wait);
  return (timeout === undefined ? writer.flag(false) : writer.flag(true).fixed64(timeout)).bytes();
}

/** Decodes the answer to a message for a queue. */
export function decodeQueued(encoding: Encoding, data: Uint8Array): { status: string; response?: unknown } {
  if (encoding !== "bare") return decodeValue(encoding, data) as { status: string; response?: unknown };
  const reader = unversioned(data);
  const status = reader.text();
  const response = reader.optional(() => reader.data());
  return response === undefined ? { status } : { status, response: fromCbor(response) };
}
