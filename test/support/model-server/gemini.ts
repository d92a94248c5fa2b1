import type { ServerResponse } from "node:http";
import { textOf } from "./content.ts";
import { answerTo, type ToolSchema, type Turn } from "./script.ts";
import { EventStream, freshId, sendJson } from "./stream.ts";

interface Part {
  text?: string;
  functionResponse?: { response?: unknown };
}

export interface GenerateRequest {
  contents: { role?: string; parts?: Part[] }[];
  systemInstruction?: unknown;
  tools?: {
    functionDeclarations?: { name: string; parameters?: ToolSchema; parametersJsonSchema?: ToolSchema }[];
  }[];
  generationConfig?: { responseMimeType?: string };
}

/** Answers the side questions of Gemini's agent: which model to use, and who speaks next. */
const SIDE_ANSWER = {
  reasoning: "scripted",
  next_speaker: "user",
  model_choice: "flash",
  complexity_reasoning: "scripted",
  complexity_score: 1,
};

/** Gemini's `:generateContent` and `:streamGenerateContent`. */
export async function answerGenerate(
  request: GenerateRequest,
  response: ServerResponse,
  isStream: boolean,
): Promise<void> {
  const isSide = request.generationConfig?.responseMimeType === "application/json";
  const answer = isSide ? { text: JSON.stringify(SIDE_ANSWER), pauseMs: 0 } : answerTo(turnOf(request));
  const call = "tool" in answer && [
    { functionCall: { id: freshId("call"), name: answer.tool, args: answer.arguments } },
  ];
  if (!isStream) {
    sendJson(response, frame(call || [{ text: "text" in answer ? answer.text : "" }], true));
    return;
  }
  const events = new EventStream(response);
  if (call) events.send(frame(call, true));
  else if ("text" in answer) {
    if (!(await events.pieces(answer, (text) => events.send(frame([{ text }], false))))) return;
    events.send(frame([{ text: "" }], true));
  }
  events.end();
}

function frame(parts: unknown[], isLast: boolean) {
  return {
    candidates: [{ index: 0, content: { role: "model", parts }, ...(isLast && { finishReason: "STOP" }) }],
    usageMetadata: { promptTokenCount: 10, candidatesTokenCount: 5, totalTokenCount: 15 },
    modelVersion: "scripted",
  };
}

function turnOf({ contents, systemInstruction, tools = [] }: GenerateRequest): Turn {
  const last = contents.at(-1);
  const result = last?.parts?.find(({ functionResponse }) => functionResponse)?.functionResponse;
  const said = contents.filter(({ role, parts }) => role !== "model" && parts?.some(({ text }) => text));
  return {
    user: textOf(said.at(-1)?.parts),
    toolResult: result && JSON.stringify(result.response),
    transcript: [textOf(systemInstruction), ...contents.map(({ parts }) => textOf(parts))].join("\n"),
    tools: tools
      .flatMap(({ functionDeclarations = [] }) => functionDeclarations)
      .map(({ name, parameters, parametersJsonSchema }) => ({
        name,
        schema: parameters ?? parametersJsonSchema ?? {},
      })),
  };
}
