import { z } from "zod";
import { MAX_AGENT_MESSAGE_DEPTH, MAX_AGENT_MESSAGE_VALUES } from "../limits.ts";

const messageSchema = z.looseObject({
  id: z.union([z.string(), z.number(), z.null()]).optional(),
  method: z.string().optional(),
});

/** Fields of a JSON-RPC request, notification or response. */
export type Message = z.infer<typeof messageSchema>;

/** A message that is too deep or has too many values. */
export class MessageFault extends Error {}

/**
 * Parses one line.
 *
 * @returns the message, or `undefined` if the line is not a JSON-RPC message
 * @throws MessageFault if the message has more than MAX_AGENT_MESSAGE_DEPTH levels or MAX_AGENT_MESSAGE_VALUES values
 */
export function parseMessage(line: string): Message | undefined {
  // Other lines, such as banners, have no limits to check.
  if (!/^\s*\{/.test(line)) return undefined;
  assertBounded(line);
  try {
    return messageSchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

/**
 * Counts a line's brackets and commas before it is parsed. JSON.parse accepts any depth, at which JSON.stringify and
 * encoders overflow the stack. JSON.parse also takes seconds for millions of values.
 */
function assertBounded(line: string): void {
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
