import type { Server } from "@modelcontextprotocol/sdk/server/index.js";
import type { CallToolResult, Tool } from "@modelcontextprotocol/sdk/types.js";
import { z } from "zod";
import { AgentVmError } from "../../api/errors.ts";
import { errorText } from "../shared/errors.ts";
import { Workplace } from "../shared/workplace.ts";
import type { ToolAnswer, ToolContext, ToolDefinition } from "../toolbox/tool.ts";
import { TOOLS } from "../toolbox/toolbox.ts";
import type { Sdk } from "./sdk.ts";
import type { Serving } from "./server.ts";
import { readResource, TRANSFER_TOOLS } from "./transfer-tools.ts";
import { fleetTools, uriOf, type VmKey, vmKey } from "./vms.ts";

/**
 * Shortest time between two progress notifications of one call.
 * @unit ms
 */
const PROGRESS_MS = 250;

/** Characters of a progress notification: the end of the output. */
const PROGRESS_CHARS = 200;

/** A tool that is about no VM, or about VMs that it finds itself. */
interface FleetTool extends Omit<ToolDefinition<object>, "run"> {
  run(input: object): Promise<ToolAnswer>;
}

/** A tool is about one VM, which its input names if the server has many, or about all. */
type ServedTool = { input: z.ZodObject } & (
  | { isOfVm: true; tool: ToolDefinition<object> }
  | { isOfVm: false; tool: FleetTool }
);

/** Answers `tools/list` and `tools/call`. */
export function serveTools(server: Server, types: Sdk["types"], serving: Serving): void {
  const served = servedTools(serving);
  let tools: Tool[] | undefined;
  server.setRequestHandler(types.ListToolsRequestSchema, () => {
    tools ??= [...served].flatMap(([name, each]) =>
      serving.shows(each.tool.needs) ? [describe(name, each)] : [],
    );
    return { tools };
  });
  server.setRequestHandler(types.CallToolRequestSchema, async ({ params }, extra) => {
    const each = served.get(params.name);
    if (each === undefined) {
      throw new types.McpError(types.ErrorCode.InvalidParams, `Unknown tool: ${params.name.slice(0, 80)}`);
    }
    const token = params._meta?.progressToken;
    const onProgress = (progress: number, message: string) => {
      const sent = { progressToken: token ?? "", progress, message };
      // A client that is gone needs no progress.
      void extra.sendNotification({ method: "notifications/progress", params: sent }).catch(() => undefined);
    };
    const onOutput = token === undefined ? undefined : progressOf(onProgress);
    try {
      return await serving.running.run(() =>
        call(each, params.arguments ?? {}, serving, { signal: extra.signal, onOutput }),
      );
    } catch (error) {
      return { isError: true, content: [{ type: "text", text: errorText(error) }] };
    }
  });
}

function servedTools({ vms }: Serving): Map<string, ServedTool> {
  const ofVm = Object.entries({ ...TOOLS, ...TRANSFER_TOOLS }).map(([name, tool]): [string, ServedTool] => {
    const input = "one" in vms ? tool.input : tool.input.extend({ vm: vmKey });
    return [name, { tool: tool as unknown as ToolDefinition<object>, input, isOfVm: true }];
  });
  if ("one" in vms) return new Map(ofVm);
  const ofAll = Object.entries(fleetTools(vms.many)).map(([name, tool]): [string, ServedTool] => [
    name,
    { tool: tool as unknown as FleetTool, input: tool.input, isOfVm: false },
  ]);
  return new Map([...ofAll, ...ofVm]);
}

function describe(name: string, { tool, input }: ServedTool): Tool {
  const { title, description, effect, idempotent = false } = tool;
  return {
    name,
    title,
    description,
    inputSchema: z.toJSONSchema(input, { io: "input" }) as Tool["inputSchema"],
    annotations: {
      title,
      readOnlyHint: effect === "read",
      destructiveHint: effect === "execute",
      idempotentHint: idempotent || effect === "read",
      openWorldHint: effect === "execute",
    },
  };
}

async function call(
  served: ServedTool,
  given: Record<string, unknown>,
  { vms, workingDirectory, outputLimit, yieldAfterMs }: Serving,
  running: Pick<ToolContext, "signal" | "onOutput">,
): Promise<CallToolResult> {
  const { success, data, error } = served.input.safeParse(given);
  if (!success) throw new AgentVmError("invalid_argument", z.prettifyError(error));
  if (!served.isOfVm) {
    const { text } = await served.tool.run(data);
    return { content: [{ type: "text", text }] };
  }
  const { vm: key, ...rest } = data as { vm: VmKey };
  const vm = "one" in vms ? vms.one : vms.many.get(key);
  const place = new Workplace(vm, workingDirectory);
  const answer = await served.tool.run(rest, { vm, place, outputLimit, yieldAfterMs, ...running });
  const path = typeof answer.path === "string" ? answer.path : undefined;
  if (answer.download !== true || path === undefined)
    return { content: [{ type: "text", text: answer.text }] };
  const uri = uriOf(path, key);
  return { content: [{ type: "resource", resource: { uri, ...(await readResource(vm, path)) } }] };
}

/** Sends the end of a growing output, not too often. */
function progressOf(send: (progress: number, message: string) => void): (output: string) => void {
  let sentAt = 0;
  let progress = 0;
  return (output) => {
    progress += 1;
    if (performance.now() - sentAt < PROGRESS_MS && sentAt !== 0) return;
    sentAt = performance.now();
    send(progress, output.slice(-PROGRESS_CHARS));
  };
}
