import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { answerMessages, type MessagesRequest } from "./model-server/anthropic.ts";
import { answerChat, type ChatRequest } from "./model-server/chat.ts";
import { answerGenerate, type GenerateRequest } from "./model-server/gemini.ts";
import { answerResponses, type ResponsesRequest } from "./model-server/responses.ts";
import { sendJson } from "./model-server/stream.ts";

interface ModelRequest {
  method: string;
  path: string;
  headers: IncomingMessage["headers"];
  body: string;
  /** Model that the request names. */
  model: string | undefined;
  /** Whether the agent hung up before it had the whole answer. */
  cut: boolean;
}

export interface ModelServer {
  port: number;
  /** All requests, in order. */
  requests: ModelRequest[];
  close(): Promise<void>;
}

/** Name of the only model, in every API. */
export const MODEL = "scripted-model";

/**
 * Starts a scripted model (see script.ts) on 127.0.0.1 that speaks Anthropic's Messages, OpenAI's chat completions and
 * responses, and Gemini's API.
 */
export async function startModelServer(): Promise<ModelServer> {
  const requests: ModelRequest[] = [];
  const server = createServer((request, response) => {
    serve(request, response, requests).catch((error: unknown) => {
      if (!response.headersSent) sendJson(response, { error: { message: String(error) } }, 500);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  requests: ModelRequest[],
): Promise<void> {
  const { method = "GET", headers } = request;
  const path = new URL(request.url ?? "/", "http://model").pathname;
  const body = await text(request);
  const record: ModelRequest = { method, path, headers, body, model: modelOf(path, body), cut: false };
  requests.push(record);
  response.once("close", () => {
    record.cut = !response.writableFinished;
  });
  if (method === "GET" && path.endsWith("/models")) return sendJson(response, models());
  if (/count_?tokens$/i.test(path)) return sendJson(response, { input_tokens: 10, totalTokens: 10 });
  if (path.endsWith("/v1/messages")) return answerMessages(JSON.parse(body) as MessagesRequest, response);
  if (path.endsWith("/chat/completions")) return answerChat(JSON.parse(body) as ChatRequest, response);
  if (path.endsWith("/responses")) return answerResponses(JSON.parse(body) as ResponsesRequest, response);
  const generate = /:(stream)?generateContent$/i.exec(path);
  if (generate) {
    return answerGenerate(JSON.parse(body) as GenerateRequest, response, generate[1] !== undefined);
  }
  sendJson(response, { error: { type: "not_found_error", message: `nothing at ${path}` } }, 404);
}

/** Reads the model's name from the path in Gemini's API, and from the body in the other APIs. */
function modelOf(path: string, body: string): string | undefined {
  return /models\/([^/:]+):/.exec(path)?.[1] ?? /"model":\s*"([^"]+)"/.exec(body)?.[1];
}

function models() {
  const model = { id: MODEL, object: "model", type: "model", display_name: "Scripted", created: 1 };
  return { object: "list", data: [{ ...model, owned_by: "script" }], has_more: false };
}
