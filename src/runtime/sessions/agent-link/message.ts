import { z } from "zod";
import {
  MAX_AGENT_MESSAGE_DEPTH,
  MAX_AGENT_MESSAGE_VALUES,
  MESSAGE_OVERHEAD_BYTES,
  MESSAGE_VALUE_BYTES,
} from "../limits.ts";

const messageSchema = z.looseObject({
  id: z.union([z.string(), z.number(), z.null()]).optional(),
  method: z.string().optional(),
});

/** Fields of a JSON-RPC request, notification or response. */
export type Message = z.infer<typeof messageSchema>;

/** A message that is too deep or has too many values. */
export class MessageFault extends Error {}

/** Memory that a message takes. @param values number of its values, each of which is an object or a place in a list */
export function messageBytes(chars: number, values: number): number {
  return chars + MESSAGE_OVERHEAD_BYTES + values * MESSAGE_VALUE_BYTES;
}

/**
 * Parses one line.
 *
 * @returns the message and the number of its values, or `undefined` if the line is not a JSON-RPC message
 * @throws MessageFault if the message has more than MAX_AGENT_MESSAGE_DEPTH levels or MAX_AGENT_MESSAGE_VALUES values
 */
export function parseMessage(line: string): { message: Message; values: number } | undefined {
  // Other lines, such as banners, have no limits to check.
  if (!/^\s*\{/.test(line)) return undefined;
  const values = boundedValues(line);
  try {
    const { data: message } = messageSchema.safeParse(JSON.parse(line));
    return message && { message, values };
  } catch {
    return undefined;
  }
}

/**
 * Counts a line's brackets and commas before it is parsed. JSON.parse accepts any depth, at which JSON.stringify and
 * encoders overflow the stack. JSON.parse also takes seconds for millions of values.
 *
 * @returns the number of values
 */
function boundedValues(line: string): number {
  let depth = 0;
  let values = 0;
  for (let at = 0; at < line.length; at++) {
    const char = line[at];
    if (char === '"') at = endOfString(line, at);
    else if (char === "[" || char === "{") {
      values++;
      if (++depth > MAX_AGENT_MESSAGE_DEPTH)
        throw new MessageFault(`it wrote a message of more than ${MAX_AGENT_MESSAGE_DEPTH} levels`);
    } else if (char === "]" || char === "}") depth--;
    else if (char === ",") values++;
    if (values > MAX_AGENT_MESSAGE_VALUES)
      throw new MessageFault(`it wrote a message of more than ${MAX_AGENT_MESSAGE_VALUES} values`);
  }
  return values;
}

/** Index of the quotation mark that ends the string. @param start index of its opening quotation mark */
function endOfString(line: string, start: number): number {
  let end = start;
  do {
    end = line.indexOf('"', end + 1);
    if (end < 0) return line.length;
  } while (isEscaped(line, end));
  return end;
}

function isEscaped(line: string, at: number): boolean {
  let backslashes = 0;
  while (line[at - 1 - backslashes] === "\\") backslashes++;
  return backslashes % 2 === 1;
}
