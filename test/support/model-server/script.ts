/** A tool that an agent offers to the model. */
export interface OfferedTool {
  name: string;
  /** JSON schema of its arguments. */
  schema: ToolSchema;
}

export interface ToolSchema {
  properties?: Record<string, { type?: string } | undefined>;
}

/** What a request of any of the four APIs comes down to. */
export interface Turn {
  /** What the user said last. */
  user: string;
  /** Outcome of the tool call that the model asked for just before. */
  toolResult: string | undefined;
  /** Name of the tool that it called last. */
  called?: string | undefined;
  /** Everything said so far, instructions included. */
  transcript: string;
  tools: OfferedTool[];
}

/** What the model says: text in pieces, or one tool call. */
export type Answer = { text: string; pauseMs: number } | { tool: string; arguments: Record<string, unknown> };

/** Between two pieces of a `[[stream]]`, in milliseconds. */
const STREAM_PAUSE_MS = 100;

const STREAM_PIECES = 600;

const SHELL_TOOLS = /^(bash|shell|shell_command|exec_command|run_shell_command)$/i;
const SEARCH_TOOLS = /^(ToolSearch|tool_search)$/;
const WRITE_TOOLS = /^(write|write_file)$/i;
const PATH_ARGUMENTS = ["file_path", "filePath", "path"];

/** Commands that a user's text holds, e.g. `[[run ls]]`; the last one counts. */
const COMMAND = /\[\[(say|run|ask|write|call|stream|recall|instructions)(?: ([^\]]*))?\]\]/g;

/**
 * What the scripted model answers:
 *
 * - `[[say TEXT]]`: the text
 * - `[[run COMMAND]]`: a call of the agent's shell tool
 * - `[[ask COMMAND]]`: the same, in the way that makes the agent ask its user, where the tool has one
 * - `[[write PATH TEXT]]`: a call of its tool that writes files; by the shell where it has none
 * - `[[call TOOL TEXT]]`: a call of the tool whose name ends so, as tools of MCP servers do, with `{ text }`; where
 *   the agent keeps such tools back, after a search for it
 * - `[[stream]]`: pieces of text for a minute
 * - `[[recall]]`: the word of an earlier `[[say remember WORD]]`, as the request carries it
 * - `[[instructions]]`: the word behind `INSTRUCTION-` in what the request carries
 *
 * and, to the outcome of a tool call, `result: ` and its text.
 */
export function answerTo(turn: Turn): Answer {
  const isFound = turn.called !== undefined && SEARCH_TOOLS.test(turn.called);
  if (turn.toolResult !== undefined && !isFound)
    return say(`result: ${turn.toolResult.trim().slice(0, 500)}`);
  const [, command, rest = ""] = [...turn.user.matchAll(COMMAND)].at(-1) ?? [];
  switch (command) {
    case "say":
      return say(rest);
    case "run":
      return run(turn.tools, rest);
    case "ask":
      return run(turn.tools, rest, true);
    case "write":
      return write(turn.tools, rest);
    case "call":
      return call(turn, rest);
    case "stream":
      // Without tools it is a request for a title or the like, which the agent waits for.
      return turn.tools.length === 0 ? say("a stream") : { text: streamText(), pauseMs: STREAM_PAUSE_MS };
    case "recall":
      return say(`recalled: ${/\[\[say remember (\w+)/.exec(turn.transcript)?.[1] ?? "nothing"}`);
    case "instructions":
      return say(`instructed: ${/INSTRUCTION-(\w+)/.exec(turn.transcript)?.[1] ?? "nothing"}`);
    default:
      return say("ok");
  }
}

function say(text: string): Answer {
  return { text, pauseMs: 0 };
}

function streamText(): string {
  return Array.from({ length: STREAM_PIECES }, (_, index) => `piece${index} `).join("");
}

function run(tools: readonly OfferedTool[], command: string, isAsking = false): Answer {
  const tool = tools.find(({ name }) => SHELL_TOOLS.test(name));
  if (tool === undefined) return say(`no shell among ${names(tools)}`);
  const { properties = {} } = tool.schema;
  const argument = properties.cmd === undefined ? "command" : "cmd";
  const isList = properties[argument]?.type === "array";
  return {
    tool: tool.name,
    arguments: {
      [argument]: isList ? ["bash", "-c", command] : command,
      ...(properties.description && { description: "what the script says" }),
      ...(isAsking &&
        properties.sandbox_permissions && {
          sandbox_permissions: "require_escalated",
          justification: "what the script says",
        }),
      ...(properties.is_background && { is_background: false }),
    },
  };
}

function write(tools: readonly OfferedTool[], rest: string): Answer {
  const [path = "", ...words] = rest.split(" ");
  const content = words.join(" ");
  const tool = tools.find(({ name }) => WRITE_TOOLS.test(name));
  if (tool === undefined) return run(tools, `printf %s '${content}' > ${path}`, true);
  const argument = PATH_ARGUMENTS.find((name) => tool.schema.properties?.[name] !== undefined) ?? "path";
  return { tool: tool.name, arguments: { [argument]: path, content } };
}

function call({ tools, toolResult }: Turn, rest: string): Answer {
  const [suffix = "", ...words] = rest.split(" ");
  const search = tools.find(({ name }) => SEARCH_TOOLS.test(name));
  const tool = tools.find(({ name }) => name.endsWith(suffix));
  if (tool !== undefined) return { tool: tool.name, arguments: { text: words.join(" ") } };
  const hidden = new RegExp(`"name":"(\\w*${suffix})"`).exec(toolResult ?? "")?.[1];
  if (hidden !== undefined) {
    // Qwen's: a tool that was found is called through another.
    return { tool: "tool_call", arguments: { name: hidden, arguments: { text: words.join(" ") } } };
  }
  if (search === undefined || toolResult !== undefined) return say(`no ${suffix} among ${names(tools)}`);
  return { tool: search.name, arguments: { query: suffix } };
}

function names(tools: readonly OfferedTool[]): string {
  return tools.map(({ name }) => name).join(", ");
}

/** Text in the pieces in which it is streamed. */
export function piecesOf(text: string): string[] {
  return text.match(/\S+\s*|\s+/g) ?? [""];
}
