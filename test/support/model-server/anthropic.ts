import type { ServerResponse } from "node:http";
import { isNote, textOf } from "./content.ts";
import { type Answer, answerTo, type ToolSchema, type Turn } from "./script.ts";
import { EventStream, freshId, sendJson } from "./stream.ts";

interface Block {
  type: string;
  text?: string;
  content?: unknown;
  name?: string;
}

export interface MessagesRequest {
  model: string;
  stream?: boolean;
  system?: unknown;
  messages: { role: string; content: string | Block[] }[];
  tools?: { name: string; input_schema?: ToolSchema }[];
}

const USAGE = {
  input_tokens: 10,
  output_tokens: 5,
  cache_read_input_tokens: 0,
  cache_creation_input_tokens: 0,
};

/** The Anthropic Messages API: `POST /v1/messages`. */
export async function answerMessages(request: MessagesRequest, response: ServerResponse): Promise<void> {
  const answer = answerTo(turnOf(request));
  const message = { id: freshId("msg"), type: "message", role: "assistant", model: request.model };
  const block = contentOf(answer);
  const stop = { stop_reason: "tool" in answer ? "tool_use" : "end_turn", stop_sequence: null };
  if (!request.stream) {
    sendJson(response, { ...message, content: [block], ...stop, usage: USAGE });
    return;
  }
  const events = new EventStream(response);
  const send = (data: { type: string }) => events.send(data, data.type);
  const start = { ...message, content: [], stop_reason: null, stop_sequence: null, usage: USAGE };
  send({ type: "message_start", message: start } as { type: string });
  const empty = "tool" in answer ? { ...block, input: {} } : { type: "text", text: "" };
  send({ type: "content_block_start", index: 0, content_block: empty } as { type: string });
  const delta = (part: unknown) =>
    send({ type: "content_block_delta", index: 0, delta: part } as { type: string });
  if ("tool" in answer) delta({ type: "input_json_delta", partial_json: JSON.stringify(answer.arguments) });
  else if (!(await events.pieces(answer, (text) => delta({ type: "text_delta", text })))) return;
  send({ type: "content_block_stop", index: 0 } as { type: string });
  send({ type: "message_delta", delta: stop, usage: USAGE } as { type: string });
  send({ type: "message_stop" });
  events.end();
}

function contentOf(answer: Answer) {
  if ("tool" in answer)
    return { type: "tool_use", id: freshId("toolu"), name: answer.tool, input: answer.arguments };
  return { type: "text", text: answer.text };
}

/** Reads the blocks after the model's last message. Agents put notes and tool results among the user's blocks. */
function turnOf({ system, messages, tools = [] }: MessagesRequest): Turn {
  const last = messages.findLastIndex(({ role }) => role === "assistant");
  const fresh = messages.slice(last + 1).flatMap(({ content }) => blocksOf(content));
  const result = fresh.findLastIndex(({ type }) => type === "tool_result");
  // The result of a cancelled call arrives together with the user's next text.
  const hasText = fresh.slice(result + 1).some(({ type, text = "" }) => type === "text" && !isNote(text));
  const words = messages.filter(({ role }) => role === "user").flatMap(({ content }) => blocksOf(content));
  return {
    user: words
      .filter(({ type }) => type === "text")
      .map(textOf)
      .join("\n"),
    called: blocksOf(messages[last]?.content ?? "").find(({ type }) => type === "tool_use")?.name,
    toolResult: result >= 0 && !hasText ? textOf(fresh[result]?.content) : undefined,
    transcript: [textOf(system), ...messages.map(({ content }) => textOf(content))].join("\n"),
    tools: tools.map(({ name, input_schema = {} }) => ({ name, schema: input_schema })),
  };
}

function blocksOf(content: string | Block[]): Block[] {
  return typeof content === "string" ? [{ type: "text", text: content }] : content;
}
