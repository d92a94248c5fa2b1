/** A DNS question of a program, from a message of one question. */
export interface Question {
  id: number;
  /** Name in lower case, without the last dot. */
  name: string;
  type: number;
  isRecursive: boolean;
  /** Bytes of the question section. */
  section: Buffer;
}

export const RECORD = { ipv4: 1, ipv6: 28 } as const;

/** Response codes of DNS (RFC 1035). */
export const RCODE = { ok: 0, malformed: 1, failed: 2, absent: 3 } as const;

/** Longest question that is read. One with a name of 253 bytes and EDNS options has half as much. */
export const MAX_QUESTION_BYTES = 512;

const HEAD_BYTES = 12;
const MAX_NAME_BYTES = 253;
const INTERNET = 1;
const LABEL = /^[a-z0-9_-]+$/;

/**
 * Reads a message with one question. Records behind the question, such as those of EDNS, are not read.
 *
 * @returns `undefined` for a message that is not such a question; its name then has nothing but letters, digits, `-` and `_`
 */
export function parseQuestion(message: Buffer): Question | undefined {
  if (message.length < HEAD_BYTES || message.length > MAX_QUESTION_BYTES) return undefined;
  const flags = message.readUInt16BE(2);
  // A response, or another operation than a standard query.
  if ((flags & 0xf800) !== 0 || message.readUInt16BE(4) !== 1 || message.readUInt16BE(6) !== 0)
    return undefined;
  const labels: string[] = [];
  let at = HEAD_BYTES;
  for (;;) {
    const length = message[at];
    at += 1;
    if (length === 0) break;
    // Two high bits mark a compressed name, which a question does not need.
    if (length === undefined || length > 63 || at + length > message.length) return undefined;
    const label = message.toString("latin1", at, at + length).toLowerCase();
    if (!LABEL.test(label)) return undefined;
    labels.push(label);
    at += length;
  }
  const name = labels.join(".");
  if (name.length > MAX_NAME_BYTES || at + 4 > message.length) return undefined;
  if (message.readUInt16BE(at + 2) !== INTERNET) return undefined;
  return {
    id: message.readUInt16BE(0),
    name,
    type: message.readUInt16BE(at),
    isRecursive: (flags & 0x100) !== 0,
    section: Buffer.from(message.subarray(HEAD_BYTES, at + 4)),
  };
}

/** Writes the answer to a question, with the address of its name or without a record. */
export function encodeAnswer(
  { id, type, isRecursive, section }: Question,
  rcode: number,
  record?: { address: Buffer; ttlSeconds: number },
): Buffer {
  const head = encodeHead({ id, rcode, isRecursive, questions: 1, answers: record === undefined ? 0 : 1 });
  if (record === undefined) return Buffer.concat([head, section]);
  const fields = Buffer.alloc(12);
  // The name is that of the question, 12 bytes from the start.
  fields.writeUInt16BE(0xc00c, 0);
  fields.writeUInt16BE(type, 2);
  fields.writeUInt16BE(INTERNET, 4);
  fields.writeUInt32BE(record.ttlSeconds, 6);
  fields.writeUInt16BE(record.address.length, 10);
  return Buffer.concat([head, section, fields, record.address]);
}

/** Writes the answer to a message that is not a question of the kind above. @returns `undefined` if it must have no answer */
export function encodeMalformed(message: Buffer): Buffer | undefined {
  if (message.length < HEAD_BYTES || (message.readUInt16BE(2) & 0x8000) !== 0) return undefined;
  return encodeHead({ id: message.readUInt16BE(0), rcode: RCODE.malformed });
}

/** Head of an answer. */
interface Head {
  id: number;
  rcode: number;
  isRecursive?: boolean;
  /** Number of questions that the answer repeats. */
  questions?: number;
  /** Number of records. */
  answers?: number;
}

function encodeHead({ id, rcode, isRecursive = false, questions = 0, answers = 0 }: Head): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt16BE(id, 0);
  // A response; recursion is available.
  head.writeUInt16BE(0x8080 | (isRecursive ? 0x100 : 0) | rcode, 2);
  head.writeUInt16BE(questions, 4);
  head.writeUInt16BE(answers, 6);
  return head;
}
