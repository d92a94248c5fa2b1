import { z } from "zod";
import { MAX_AGENT_MESSAGE_DEPTH, MAX_AGENT_MESSAGE_VALUES } from "../../api/limits.ts";

const messageSchema = z.looseObject({
  id: z.union([z.string(), z.number(), z.null()]).optional(),
  method: z.string().optional(),
});

/** A JSON-RPC message, as far as every kind has it. */
export type Message = z.infer<typeof messageSchema>;

/** A message that nobody can pass on. */
export class MessageFault extends Error {}

/**
 * The message of one line, `undefined` where it is none.
 *
 * @throws MessageFault for one that is too deep to be written again, or has so many values that it would hold the server
 */
export function parseMessage(line: string): Message | undefined {
  // A banner may be as long as it likes.
  if (!/^\s*\{/.test(line)) return undefined;
  assertBounded(line);
  try {
    return messageSchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

/**
 * Looks at a line's brackets and commas before it is parsed: JSON.parse takes any depth, at which JSON.stringify and
 * encoders overflow the stack, and takes seconds for a line of millions of values.
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

/** Where the string ends that begins at a quotation mark. */
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
