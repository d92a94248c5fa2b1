import type { SessionEvent } from "../../../api/methods/session-event.ts";
import { codeBlock, codeSpan } from "./markdown.ts";

/** A part of a transcript for people. */
export interface Section {
  /** Its heading, as Markdown. */
  title: string;
  /** Text of a speaker, which goes on in the next section of the same title. */
  speech?: string;
  /** Its content, as Markdown. */
  blocks?: string[];
}

/**
 * Shows an event of a session. An agent may send any form, so everything of it is in code blocks and code spans.
 *
 * @returns `undefined` for an event that people need not see
 */
export function sectionOf(event: SessionEvent): Section | undefined {
  try {
    return eventSection(event);
  } catch {
    return { title: "An event that cannot be shown" };
  }
}

function eventSection(event: SessionEvent): Section | undefined {
  switch (event.method) {
    case "session/update":
      return updateSection(event.params.update);
    case "session/request_permission":
      return { title: `Permission: ${codeSpan(String(event.params.toolCall?.title ?? ""))}` };
    case "_agentvm/permission_resolved": {
      const { outcome, reason } = event.params;
      const answer = outcome.outcome === "selected" ? String(outcome.optionId) : outcome.outcome;
      return { title: `Answer: ${codeSpan(`${answer} (${reason})`)}` };
    }
    case "_agentvm/agent_crashed":
      return { title: "The agent ended", blocks: [codeBlock("text", String(event.params.message))] };
    case "_agentvm/events_dropped":
      return { title: "Earlier events are no longer kept" };
    default:
      return undefined;
  }
}

type Update = Extract<SessionEvent, { method: "session/update" }>["params"]["update"];

function updateSection(update: Update): Section | undefined {
  switch (update.sessionUpdate) {
    case "user_message_chunk":
      return { title: "User", speech: contentText(update.content) };
    case "agent_message_chunk":
      return { title: "Agent", speech: contentText(update.content) };
    case "agent_thought_chunk":
      return { title: "Thought", speech: contentText(update.content) };
    case "tool_call":
    case "tool_call_update": {
      const { toolCallId, title, status } = update;
      const blocks = toolBlocks(update);
      const isNew = update.sessionUpdate === "tool_call";
      if (!isNew && blocks.length === 0 && status !== "failed") return undefined;
      const state = status ? ` ${codeSpan(String(status))}` : "";
      return {
        title: `${isNew ? "Tool" : "Tool result"}: ${codeSpan(String(title || toolCallId))}${state}`,
        blocks,
      };
    }
    case "plan": {
      const steps = update.entries.map(({ status, content }) => `[${status}] ${content}`);
      return { title: "Plan", blocks: [codeBlock("text", steps.join("\n"))] };
    }
    default:
      return undefined;
  }
}

function toolBlocks({ rawInput, rawOutput, content }: ToolParts): string[] {
  const blocks: string[] = [];
  if (rawInput !== undefined && rawInput !== null) blocks.push(jsonBlock(rawInput));
  const parts = Array.isArray(content) ? content : [];
  for (const part of parts as ToolPart[]) {
    if (part.type === "content") blocks.push(codeBlock("text", contentText(part.content)));
    else if (part.type === "diff") blocks.push(codeBlock("diff", diffText(part)));
  }
  if (parts.length === 0 && rawOutput !== undefined && rawOutput !== null) blocks.push(jsonBlock(rawOutput));
  return blocks;
}

interface ToolParts {
  rawInput?: unknown;
  rawOutput?: unknown;
  content?: unknown;
}

interface ToolPart {
  type?: unknown;
  content?: unknown;
  path?: unknown;
  oldText?: unknown;
  newText?: unknown;
}

function jsonBlock(value: unknown): string {
  return codeBlock("json", JSON.stringify(value, undefined, 2));
}

function diffText({ path, oldText, newText }: ToolPart): string {
  const lines = (text: unknown, mark: string) =>
    typeof text === "string" ? text.split("\n").map((line) => `${mark}${line}`) : [];
  return [`--- ${path}`, `+++ ${path}`, ...lines(oldText, "-"), ...lines(newText, "+")].join("\n");
}

function contentText(content: unknown): string {
  const { type, text } = content as { type?: unknown; text?: unknown };
  return type === "text" && typeof text === "string" ? text : `[${String(type)}]`;
}
