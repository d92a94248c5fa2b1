import { z } from "zod";
import { jsonValues } from "../../../base/json-values.ts";
import { MAX_AGENT_MESSAGE_DEPTH, MAX_AGENT_MESSAGE_VALUES } from "../limits.ts";

const LIMITS = { levels: MAX_AGENT_MESSAGE_DEPTH, values: MAX_AGENT_MESSAGE_VALUES };

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
 * @returns the message and the number of its values, or `undefined` if the line is not a JSON-RPC message
 * @throws MessageFault if the message has more than MAX_AGENT_MESSAGE_DEPTH levels or MAX_AGENT_MESSAGE_VALUES values
 */
export function parseMessage(line: string): { message: Message; values: number } | undefined {
  // Other lines, such as banners, have no limits to check.
  if (!/^\s*\{/.test(line)) return undefined;
  const { values, excess } = jsonValues(line, LIMITS);
  if (excess !== undefined)
    throw new MessageFault(`it wrote a message of more than ${LIMITS[excess]} ${excess}`);
  try {
    const { data: message } = messageSchema.safeParse(JSON.parse(line));
    return message && { message, values };
  } catch {
    return undefined;
  }
}
