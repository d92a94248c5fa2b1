import type { ServerResponse } from "node:http";
import { textOf } from "./content.ts";
import { answerTo, type ToolSchema, type Turn } from "./script.ts";
import { EventStream, freshId, sendJson } from "./stream.ts";

export interface ChatRequest {
  model: string;
  stream?: boolean;
  messages: { role: string; content?: unknown; tool_calls?: { function: { name: string } }[] }[];
  tools?: { function: { name: string; parameters?: ToolSchema } }[];
}

const USAGE = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };

/** OpenAI's chat completions: `POST /v1/chat/completions`. */
export async function answerChat(request: ChatRequest, response: ServerResponse): Promise<void> {
  const answer = answerTo(turnOf(request));
  const base = { id: freshId("chatcmpl"), created: 1, model: request.model };
  const calls = "tool" in answer && [
    {
      index: 0,
      id: freshId("call"),
      type: "function",
      function: { name: answer.tool, arguments: JSON.stringify(answer.arguments) },
    },
  ];
  const finish = calls ? "tool_calls" : "stop";
  if (!request.stream) {
    const message = { role: "assistant", content: "text" in answer ? answer.text : null };
    const choice = {
      index: 0,
      finish_reason: finish,
      message: { ...message, ...(calls && { tool_calls: calls }) },
    };
    sendJson(response, { ...base, object: "chat.completion", usage: USAGE, choices: [choice] });
    return;
  }
  const events = new EventStream(response);
  const chunk = { ...base, object: "chat.completion.chunk" };
  const delta = (part: unknown, finish_reason: string | null = null) =>
    events.send({ ...chunk, choices: [{ index: 0, delta: part, finish_reason }] });
  delta({ role: "assistant", content: "" });
  if (calls) delta({ tool_calls: calls });
  else if ("text" in answer && !(await events.pieces(answer, (content) => delta({ content })))) return;
  delta({}, finish);
  events.send({ ...chunk, choices: [], usage: USAGE });
  events.end("data: [DONE]\n\n");
}

function turnOf({ messages, tools = [] }: ChatRequest): Turn {
  const last = messages.at(-1);
  return {
    user: textOf(messages.findLast(({ role }) => role === "user")?.content),
    toolResult: last?.role === "tool" ? textOf(last.content) : undefined,
    called: messages.findLast(({ role }) => role === "assistant")?.tool_calls?.[0]?.function.name,
    transcript: messages.map(({ content }) => textOf(content)).join("\n"),
    tools: tools.map(({ function: { name, parameters = {} } }) => ({ name, schema: parameters })),
  };
}
