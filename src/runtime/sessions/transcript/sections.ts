import type { SessionEvent } from "../../../api/methods/session-event.ts";
import { indented } from "./indented.ts";
import { CodeBlocks, codeSpan, MAX_SHOWN_TEXT } from "./markdown.ts";

/** A part of a transcript for people. */
export interface Section {
  /** Its heading, as Markdown. */
  title: string;
  /** Text of a speaker, which goes on in the next section of the same title. */
  speech?: string;
  /** Its content. */
  blocks?: CodeBlocks;
}

/**
 * Shows an event of a session. An agent may send any form, so everything of it is in code blocks and code spans.
 *
 * @returns `undefined` for an event that people need not see
 */
export async function sectionOf(event: SessionEvent): Promise<Section | undefined> {
  try {
    return await eventSection(event);
  } catch {
    return { title: "An event that cannot be shown" };
  }
}

async function eventSection(event: SessionEvent): Promise<Section | undefined> {
  switch (event.method) {
    case "session/update":
      return await updateSection(event.params.update);
    case "session/request_permission":
      return { title: `Permission: ${codeSpan(String(event.params.toolCall?.title ?? ""))}` };
    case "_agentvm/permission_resolved": {
      const { outcome, reason } = event.params;
      const answer = outcome.outcome === "selected" ? String(outcome.optionId) : outcome.outcome;
      return { title: `Answer: ${codeSpan(`${answer} (${reason})`)}` };
    }
    case "_agentvm/agent_crashed":
      return { title: "The agent ended", blocks: await textBlock(String(event.params.message)) };
    case "_agentvm/events_dropped":
      return { title: "Earlier events are no longer kept" };
    default:
      return undefined;
  }
}

type Update = Extract<SessionEvent, { method: "session/update" }>["params"]["update"];

async function updateSection(update: Update): Promise<Section | undefined> {
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
      const blocks = await toolBlocks(update);
      const isNew = update.sessionUpdate === "tool_call";
      if (!isNew && blocks.isEmpty && status !== "failed") return undefined;
      const state = status ? ` ${codeSpan(String(status))}` : "";
      return {
        title: `${isNew ? "Tool" : "Tool result"}: ${codeSpan(String(title || toolCallId))}${state}`,
        blocks,
      };
    }
    case "plan": {
      const steps = update.entries.map(({ status, content }) => `[${status}] ${content}`);
      return { title: "Plan", blocks: await textBlock(steps.join("\n")) };
    }
    default:
      return undefined;
  }
}

/** Makes a section's only block. */
export async function textBlock(text: string): Promise<CodeBlocks> {
  const blocks = new CodeBlocks();
  await blocks.add("text", () => text);
  return blocks;
}

async function toolBlocks({ rawInput, rawOutput, content }: ToolParts): Promise<CodeBlocks> {
  const blocks = new CodeBlocks();
  const addJson = async (value: unknown) => {
    if (value !== undefined && value !== null)
      await blocks.add("json", () => indented(value, MAX_SHOWN_TEXT));
  };
  await addJson(rawInput);
  const parts = Array.isArray(content) ? content : [];
  for (const part of parts as ToolPart[]) {
    if (part.type === "content") await blocks.add("text", () => contentText(part.content));
    else if (part.type === "diff") await blocks.add("diff", () => diffText(part));
  }
  if (parts.length === 0) await addJson(rawOutput);
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

/** More than there is room for of either text stays unread. */
function diffText({ path, oldText, newText }: ToolPart): string {
  const lines = (text: unknown, mark: string) =>
    typeof text === "string" ? `\n${text.slice(0, MAX_SHOWN_TEXT)}`.replace(/\n/g, `\n${mark}`) : "";
  return `--- ${path}\n+++ ${path}${lines(oldText, "-")}${lines(newText, "+")}`;
}

function contentText(content: unknown): string {
  const { type, text } = content as { type?: unknown; text?: unknown };
  return type === "text" && typeof text === "string" ? text : `[${String(type)}]`;
}
