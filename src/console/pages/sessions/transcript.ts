import type { SessionEvent } from "../../../client/index.ts";

/** A change of a file that an agent proposes or has made. */
interface ToolDiff {
  path: string;
  before: string;
  after: string;
}

/** A part of a transcript as people read it. */
export type Item = { id: string } & (
  | { kind: "user" | "agent" | "thought"; text: string }
  | {
      kind: "tool";
      title: string;
      status: string;
      toolKind: string;
      texts: string[];
      diffs: ToolDiff[];
      places: string[];
    }
  | { kind: "plan"; steps: { text: string; status: string }[] }
  | { kind: "permission"; title: string; answer: string | undefined; permissionId: string }
  | { kind: "note"; text: string; isBad: boolean }
);

/** Characters that one part keeps. */
const MOST_CHARACTERS = 400_000;

const KINDS = {
  user_message_chunk: "user",
  agent_message_chunk: "agent",
  agent_thought_chunk: "thought",
} as const;

type Update = (SessionEvent & { method: "session/update" })["params"]["update"];
type ToolItem = Item & { kind: "tool" };

/** Folds the events of a session into what people read. An agent may send anything: a part that is odd is left out. */
export class Transcript {
  readonly items: Item[] = [];
  /** Number of the last event. */
  last = -1;
  readonly #tools = new Map<string, number>();
  readonly #permissions = new Map<string, number>();
  #plan: number | undefined;

  add(sequenceNumber: number, event: SessionEvent): void {
    if (sequenceNumber <= this.last) return;
    this.last = sequenceNumber;
    const id = String(sequenceNumber);
    try {
      if (event.method === "session/update") this.#update(id, event.params.update);
      else if (event.method === "session/request_permission") {
        const { permissionId, toolCall } = event.params;
        this.#permissions.set(permissionId, this.items.length);
        const title = textOf(toolCall?.title) || "Permission";
        this.items.push({ id, kind: "permission", title, answer: undefined, permissionId });
      } else if (event.method === "_agentvm/permission_resolved") {
        const { permissionId, outcome, reason } = event.params;
        const at = this.#permissions.get(permissionId);
        const item = at === undefined ? undefined : this.items[at];
        const answer = outcome.outcome === "selected" ? String(outcome.optionId) : `cancelled (${reason})`;
        if (at !== undefined && item?.kind === "permission") this.items[at] = { ...item, answer };
      } else if (event.method === "_agentvm/agent_crashed")
        this.items.push({
          id,
          kind: "note",
          text: `The agent crashed: ${event.params.message}`,
          isBad: true,
        });
      else if (event.method === "_agentvm/events_dropped")
        this.items.push({ id, kind: "note", text: "Earlier events are no longer kept.", isBad: false });
    } catch {
      this.items.push({ id, kind: "note", text: "An event that the console cannot read.", isBad: true });
    }
  }

  #update(id: string, update: Update): void {
    switch (update.sessionUpdate) {
      case "user_message_chunk":
      case "agent_message_chunk":
      case "agent_thought_chunk":
        this.#say(id, KINDS[update.sessionUpdate], contentText(update.content));
        return;
      case "tool_call":
      case "tool_call_update":
        this.#tool(id, update as Parts);
        return;
      case "plan": {
        const steps = (update.entries ?? []).map(({ content, status }) => ({
          text: textOf(content),
          status: textOf(status),
        }));
        const known = this.#plan === undefined ? undefined : this.items[this.#plan];
        if (this.#plan !== undefined && known?.kind === "plan") this.items[this.#plan] = { ...known, steps };
        else {
          this.#plan = this.items.length;
          this.items.push({ id, kind: "plan", steps });
        }
        return;
      }
      case "current_mode_update":
        this.items.push({ id, kind: "note", text: `Mode: ${textOf(update.currentModeId)}`, isBad: false });
        return;
      default:
    }
  }

  #say(id: string, kind: "user" | "agent" | "thought", text: string): void {
    const last = this.items.at(-1);
    // A user's message begins a turn, with a plan of its own.
    if (kind === "user") this.#plan = undefined;
    if (last?.kind === kind && kind !== "user")
      this.items[this.items.length - 1] = { ...last, text: (last.text + text).slice(0, MOST_CHARACTERS) };
    else this.items.push({ id, kind, text: text.slice(0, MOST_CHARACTERS) });
  }

  #tool(id: string, parts: Parts): void {
    const toolId = textOf(parts.toolCallId);
    const at = this.#tools.get(toolId);
    const known = at === undefined ? undefined : (this.items[at] as ToolItem);
    const item: ToolItem = known ?? {
      id,
      kind: "tool",
      title: "",
      status: "pending",
      toolKind: "other",
      texts: [],
      diffs: [],
      places: [],
    };
    const content = parts.content ?? undefined;
    const next: ToolItem = {
      ...item,
      title: textOf(parts.title) || item.title,
      status: textOf(parts.status) || item.status,
      toolKind: textOf(parts.kind) || item.toolKind,
      places: parts.locations?.map(({ path }) => textOf(path)) ?? item.places,
      texts:
        content?.filter(({ type }) => type === "content").map((part) => contentText(part.content)) ??
        item.texts,
      diffs:
        content
          ?.filter(({ type }) => type === "diff")
          .map((part) => ({
            path: textOf(part.path),
            before: textOf(part.oldText),
            after: textOf(part.newText),
          })) ?? item.diffs,
    };
    if (at === undefined) {
      this.#tools.set(toolId, this.items.length);
      this.items.push(next);
    } else this.items[at] = next;
  }
}

/** A tool call as an agent may send it. */
interface Parts {
  toolCallId?: unknown;
  title?: unknown;
  status?: unknown;
  kind?: unknown;
  locations?: { path?: unknown }[] | null;
  content?:
    | { type?: string; content?: unknown; path?: unknown; oldText?: unknown; newText?: unknown }[]
    | null;
}

function contentText(content: unknown): string {
  const { type, text, uri, resource } = (content ?? {}) as {
    type?: string;
    text?: unknown;
    uri?: unknown;
    resource?: { uri?: unknown; text?: unknown };
  };
  if (type === "text") return textOf(text);
  if (type === "resource_link") return textOf(uri);
  if (type === "resource") return textOf(resource?.text) || textOf(resource?.uri);
  return type === undefined ? "" : `[${String(type)}]`;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value.slice(0, MOST_CHARACTERS) : "";
}
