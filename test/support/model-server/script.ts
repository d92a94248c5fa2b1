/** A tool that an agent offers to the model. */
interface OfferedTool {
  name: string;
  /** JSON schema of its arguments. */
  schema: ToolSchema;
}

export interface ToolSchema {
  properties?: Record<string, { type?: string } | undefined>;
}

/** The parts of a request that the script needs, common to all four APIs. */
export interface Turn {
  /** Last text of the user. */
  user: string;
  /** Outcome of the tool call that the model asked for just before. */
  toolResult: string | undefined;
  /** Name of the tool that the model called last. */
  called?: string | undefined;
  /** Everything said so far, instructions included. */
  transcript: string;
  tools: OfferedTool[];
}

/** Answer of the model: text in pieces, or one tool call. */
export type Answer = { text: string; pauseMs: number } | { tool: string; arguments: Record<string, unknown> };

/** Milliseconds between two pieces of a `[[stream]]`. */
const STREAM_PAUSE_MS = 100;

const STREAM_PIECES = 600;

const SHELL_TOOLS = /^(bash|shell|shell_command|exec_command|run_shell_command)$/i;
const SEARCH_TOOLS = /^(ToolSearch|tool_search)$/;
const WRITE_TOOLS = /^(write|write_file)$/i;
const PATH_ARGUMENTS = ["file_path", "filePath", "path"];

/** Commands in a user's text, e.g. `[[run ls]]`. The last command counts. */
const COMMAND = /\[\[(say|run|ask|write|call|stream|recall|instructions)(?: ([^\]]*))?\]\]/g;

/**
 * Answers a turn by the command in the user's text:
 *
 * - `[[say TEXT]]`: the text
 * - `[[run COMMAND]]`: a call of the agent's shell tool
 * - `[[ask COMMAND]]`: a call of the shell tool with arguments that make the agent ask its user, if the tool has any
 * - `[[write PATH TEXT]]`: a call of the tool that writes files, or else of the shell tool
 * - `[[call TOOL TEXT]]`: a call, with `{ text }` or with TEXT if it is JSON, of the tool whose name ends with TOOL, as names of
 *   MCP tools do. If the agent does not list MCP tools, the model searches for the tool first
 * - `[[stream]]`: pieces of text for a minute
 * - `[[recall]]`: the word of an earlier `[[say remember WORD]]` in the request
 * - `[[instructions]]`: the word after `INSTRUCTION-` in the request
 *
 * Answers the outcome of a tool call with `result: ` and its text.
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
      // A request without tools asks for a title or the like, and the agent waits for the answer.
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
  const given = words.join(" ");
  const args = given.startsWith("{") ? (JSON.parse(given) as Record<string, unknown>) : { text: given };
  if (tool !== undefined) return { tool: tool.name, arguments: args };
  const hidden = new RegExp(`"name":"(\\w*${suffix})"`).exec(toolResult ?? "")?.[1];
  if (hidden !== undefined) {
    // Qwen calls a tool that a search has found through another tool.
    return { tool: "tool_call", arguments: { name: hidden, arguments: args } };
  }
  if (search === undefined || toolResult !== undefined) return say(`no ${suffix} among ${names(tools)}`);
  return { tool: search.name, arguments: { query: suffix } };
}

function names(tools: readonly OfferedTool[]): string {
  return tools.map(({ name }) => name).join(", ");
}

/** Splits text into the pieces in which it is streamed. */
export function piecesOf(text: string): string[] {
  return text.match(/\S+\s*|\s+/g) ?? [""];
}
