import { createInterface } from "node:readline";

// An MCP server on stdio with one tool, `shout`, which returns a text in capitals. Runs inside a VM.

interface Request {
  id?: number;
  method: string;
  params?: { protocolVersion?: string; arguments?: { text?: string } };
}

const TOOL = {
  name: "shout",
  description: "Returns a text in capitals",
  inputSchema: { type: "object", properties: { text: { type: "string" } }, required: ["text"] },
};

createInterface({ input: process.stdin }).on("line", (line) => {
  const request = JSON.parse(line) as Request;
  if (request.id === undefined) return;
  const answer = { jsonrpc: "2.0", id: request.id, result: resultOf(request) };
  process.stdout.write(`${JSON.stringify(answer)}\n`);
});

function resultOf({ method, params }: Request): object {
  switch (method) {
    case "initialize":
      return {
        protocolVersion: params?.protocolVersion,
        capabilities: { tools: {} },
        serverInfo: { name: "voice", version: "1.0.0" },
      };
    case "tools/list":
      return { tools: [TOOL] };
    case "tools/call":
      return { content: [{ type: "text", text: params?.arguments?.text?.toUpperCase() }] };
    default:
      return {};
  }
}
