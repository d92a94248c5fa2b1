import { pause } from "../../../base/pace.ts";
import type { TranscriptEvent } from "../transcript/transcript-store.ts";

/** Characters of the conversation that a new agent process gets; the newest part is kept. */
const MAX_PREAMBLE_CHARS = 64 * 1024;

/** Text with the conversation so far, for an agent process that does not know it. */
export async function preambleOf(events: AsyncIterable<TranscriptEvent>): Promise<string | undefined> {
  const said: { who: string; text: string }[] = [];
  let chars = 0;
  /** Entries before this one are dropped. */
  let first = 0;
  for await (const { notification } of events) {
    // The events of a page come in one turn of the event loop.
    const turn = pause();
    if (turn !== null) await turn;
    const part = partOf(notification.params);
    if (part === undefined) continue;
    const last = said.at(-1);
    // An agent's message arrives in chunks, a prompt in one event.
    if (last?.who === part.who && part.who === "Assistant") {
      chars -= last.text.length;
      last.text = newest(last.text + part.text);
      chars += last.text.length;
    } else {
      said.push({ who: part.who, text: newest(part.text) });
      chars += newest(part.text).length;
    }
    while (chars > 4 * MAX_PREAMBLE_CHARS && first < said.length - 1) {
      chars -= said[first]!.text.length;
      said[first++] = { who: "", text: "" };
    }
  }
  if (said.length === 0) return undefined;
  const whole = said
    .slice(first)
    .map(({ who, text }) => `${who}: ${text}`)
    .join("\n\n");
  const kept = whole.length > MAX_PREAMBLE_CHARS ? `[...]${whole.slice(-MAX_PREAMBLE_CHARS)}` : whole;
  return [
    "This conversation continues an earlier one, which you do not remember. The earlier conversation:",
    `<conversation>\n${kept}\n</conversation>`,
    "The next message is the user's. Answer it as if you had taken part in the conversation.",
  ].join("\n\n");
}

/** Cuts a text to its last MAX_PREAMBLE_CHARS, but only when it is twice as long, so that chunks stay cheap to add. */
function newest(text: string): string {
  return text.length > 2 * MAX_PREAMBLE_CHARS ? text.slice(-MAX_PREAMBLE_CHARS) : text;
}

interface UpdateParams {
  update?: { sessionUpdate?: unknown; content?: { type?: unknown; text?: unknown } };
}

function partOf(params: unknown): { who: string; text: string } | undefined {
  const { sessionUpdate, content } = (params as UpdateParams | undefined)?.update ?? {};
  const who =
    sessionUpdate === "user_message_chunk"
      ? "User"
      : sessionUpdate === "agent_message_chunk"
        ? "Assistant"
        : undefined;
  if (who === undefined || content?.type !== "text" || typeof content.text !== "string") return undefined;
  return { who, text: content.text };
}
