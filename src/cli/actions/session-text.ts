import type { SessionEvent } from "../../api/methods/session-event.ts";
import { printable } from "../../base/printable.ts";
import { printableText } from "../out.ts";

/** A part of a conversation. `*`: a line about the agent's work. */
export interface Brief {
  speaker: "user" | "agent" | "thought" | "*";
  /** Text without control characters, except line ends and tabs. */
  text: string;
}

/** Longest text of a line about the agent's work. */
const MAX_TITLE = 200;

/**
 * Shows an event of a session. An agent may send any form: an event that cannot be shown is a line that says so.
 *
 * @returns `undefined` for an event that people need not see
 */
export function briefly(event: SessionEvent): Brief | undefined {
  try {
    return briefEvent(event);
  } catch {
    return line("an event that cannot be shown");
  }
}

function briefEvent(event: SessionEvent): Brief | undefined {
  switch (event.method) {
    case "session/update":
      return briefUpdate(event.params.update);
    case "session/request_permission":
      return line(`asks: ${event.params.toolCall?.title ?? "a permission"}`);
    case "_agentvm/permission_resolved":
      return line(`answered: ${outcomeOf(event.params.outcome)} (${event.params.reason})`);
    case "_agentvm/agent_crashed":
      return line(`the agent ended: ${event.params.message}`);
    case "_agentvm/events_dropped":
      return line("earlier events are no longer kept");
    default:
      return undefined;
  }
}

type Update = Extract<SessionEvent, { method: "session/update" }>["params"]["update"];

function briefUpdate(update: Update): Brief | undefined {
  switch (update.sessionUpdate) {
    case "user_message_chunk":
      return { speaker: "user", text: textOf(update.content) };
    case "agent_message_chunk":
      return { speaker: "agent", text: textOf(update.content) };
    case "agent_thought_chunk":
      return { speaker: "thought", text: textOf(update.content) };
    case "tool_call":
      return line(update.title || update.toolCallId);
    case "tool_call_update":
      return update.status === "failed" ? line(`failed: ${update.title ?? update.toolCallId}`) : undefined;
    case "plan":
      return line(`plan: ${update.entries.map(({ content }) => content).join("; ")}`);
    default:
      return undefined;
  }
}

/** The agent chooses the content's form. */
function textOf(content: { type: string; text?: unknown }): string {
  return content.type === "text" && typeof content.text === "string"
    ? printableText(content.text)
    : `[${printable(String(content.type))}]`;
}

function line(text: string): Brief {
  const shown = printable(String(text));
  return { speaker: "*", text: shown.length > MAX_TITLE ? `${shown.slice(0, MAX_TITLE)}…` : shown };
}

function outcomeOf(outcome: { outcome: string; optionId?: unknown }): string {
  return outcome.outcome === "selected" ? String(outcome.optionId) : outcome.outcome;
}
