import assert from "node:assert/strict";
import { MockLanguageModelV4, simulateReadableStream } from "ai/test";
import type { Turn } from "../../scripted-model.ts";

type Content = Awaited<ReturnType<MockLanguageModelV4["doGenerate"]>>;

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
};

/** A model that takes these turns, whatever it is told. */
export function scripted(turns: Turn[]): MockLanguageModelV4 {
  let at = 0;
  const next = (): Content => {
    const turn = turns[at++];
    assert.ok(turn, "The model was asked after its last turn");
    const content: Content["content"] =
      "text" in turn
        ? [{ type: "text", text: turn.text }]
        : [
            {
              type: "tool-call",
              toolCallId: `call-${at}`,
              toolName: turn.call,
              input: JSON.stringify(turn.input),
            },
          ];
    const unified = "text" in turn ? "stop" : "tool-calls";
    return { content, finishReason: { unified, raw: undefined }, usage, warnings: [] };
  };
  return new MockLanguageModelV4({
    doGenerate: async () => next(),
    doStream: async () => {
      const { content, finishReason } = next();
      const [part] = content;
      const parts =
        part?.type === "text"
          ? ([
              { type: "text-start", id: "1" },
              { type: "text-delta", id: "1", delta: part.text },
              { type: "text-end", id: "1" },
            ] as const)
          : part?.type === "tool-call"
            ? [part]
            : [];
      return {
        stream: simulateReadableStream({
          chunks: [{ type: "stream-start", warnings: [] }, ...parts, { type: "finish", finishReason, usage }],
        }),
      };
    },
  });
}
