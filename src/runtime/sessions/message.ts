import { z } from "zod";
import { MAX_AGENT_MESSAGE_DEPTH, MAX_RESULT_BYTES } from "../../api/limits.ts";
import { wireSize } from "../../api/size.ts";

const messageSchema = z.looseObject({
  id: z.union([z.string(), z.number(), z.null()]).optional(),
  method: z.string().optional(),
});

/** A JSON-RPC message, as far as every kind has it. */
export type Message = z.infer<typeof messageSchema>;

/** What JSON of this many characters comes to at most on the wire, in any encoding: `1e20` is written out as JSON. */
const MAX_GROWTH = 6;

/** A message that nobody can pass on. */
export class MessageFault extends Error {}

/**
 * The message of one line, `undefined` where it is none.
 *
 * @throws MessageFault for one that is too deep to be written again, or too large to be sent to a client
 */
export function parseMessage(line: string): Message | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  // As many brackets as levels are opened and closed.
  if (line.length > 2 * MAX_AGENT_MESSAGE_DEPTH && isDeeper(value, MAX_AGENT_MESSAGE_DEPTH)) {
    throw new MessageFault(`it wrote a message of more than ${MAX_AGENT_MESSAGE_DEPTH} levels`);
  }
  if (line.length * MAX_GROWTH > MAX_RESULT_BYTES && !isSendable(value)) {
    throw new MessageFault(`it wrote a message that takes more than ${MAX_RESULT_BYTES} bytes to send`);
  }
  return messageSchema.safeParse(value).data;
}

/** JSON.parse takes any depth; JSON.stringify and encoders overflow the stack of the server. */
function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels === 0) return true;
  if (Array.isArray(value)) {
    for (const item of value) if (isDeeper(item, levels - 1)) return true;
    return false;
  }
  return isDeeper(Object.values(value), levels);
}

function isSendable(value: unknown): boolean {
  return wireSize(value) <= MAX_RESULT_BYTES && Buffer.byteLength(JSON.stringify(value)) <= MAX_RESULT_BYTES;
}
