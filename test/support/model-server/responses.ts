import type { ServerResponse } from "node:http";
import { isNote, textOf } from "./content.ts";
import { answerTo, type ToolSchema, type Turn } from "./script.ts";
import { EventStream, freshId, sendJson } from "./stream.ts";

interface Item {
  type?: string;
  role?: string;
  content?: unknown;
  output?: unknown;
}

interface ListedTool {
  type: string;
  name?: string;
  parameters?: ToolSchema;
  /** Tools of a namespace. A call names the namespace and the tool. */
  tools?: ListedTool[];
}

export interface ResponsesRequest {
  model: string;
  stream?: boolean;
  instructions?: string;
  input: string | Item[];
  tools?: ListedTool[];
}

const USAGE = {
  input_tokens: 10,
  output_tokens: 5,
  total_tokens: 15,
  input_tokens_details: { cached_tokens: 0 },
  output_tokens_details: { reasoning_tokens: 0 },
};

/** OpenAI's responses: `POST /v1/responses`. */
export async function answerResponses(request: ResponsesRequest, response: ServerResponse): Promise<void> {
  const answer = answerTo(turnOf(request));
  const message = { type: "message", id: freshId("msg"), role: "assistant", status: "completed" };
  const item =
    "tool" in answer
      ? {
          type: "function_call",
          id: freshId("fc"),
          call_id: freshId("call"),
          ...namespaceOf(request.tools ?? [], answer.tool),
          name: answer.tool,
          arguments: JSON.stringify(answer.arguments),
          status: "completed",
        }
      : { ...message, content: [{ type: "output_text", text: answer.text, annotations: [] }] };
  const whole = {
    id: freshId("resp"),
    object: "response",
    created_at: 1,
    model: request.model,
    status: "completed",
    output: [item],
    usage: USAGE,
  };
  if (!request.stream) {
    sendJson(response, whole);
    return;
  }
  const events = new EventStream(response);
  const send = (type: string, data: object) => events.send({ type, ...data }, type);
  send("response.created", { response: { ...whole, status: "in_progress", output: [] } });
  const begun = "text" in answer ? { ...message, content: [], status: "in_progress" } : item;
  send("response.output_item.added", { output_index: 0, item: begun });
  const delta = (text: string) =>
    send("response.output_text.delta", { item_id: item.id, output_index: 0, content_index: 0, delta: text });
  if ("text" in answer && !(await events.pieces(answer, delta))) return;
  send("response.output_item.done", { output_index: 0, item });
  send("response.completed", { response: whole });
  events.end();
}

function turnOf({ instructions = "", input, tools = [] }: ResponsesRequest): Turn {
  const items: Item[] = typeof input === "string" ? [{ role: "user", content: input }] : input;
  const last = items.at(-1);
  const said = items.filter(({ role, content }) => role === "user" && !isNote(textOf(content)));
  return {
    user: textOf(said.at(-1)?.content),
    toolResult: last?.type?.endsWith("_output") ? textOf(last.output) : undefined,
    transcript: [instructions, ...items.map(({ content }) => textOf(content))].join("\n"),
    tools: tools
      .flatMap((tool) => tool.tools ?? [tool])
      .map(({ type, name = type, parameters = {} }) => ({ name, schema: parameters })),
  };
}

function namespaceOf(tools: readonly ListedTool[], called: string): { namespace?: string } {
  const namespace = tools.find((tool) => tool.tools?.some(({ name }) => name === called))?.name;
  return namespace === undefined ? {} : { namespace };
}
