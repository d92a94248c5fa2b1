import { createHash } from "node:crypto";
import { join } from "node:path";
import { quote } from "../../sandbox/posix.ts";
import { VM_NODE } from "../../sandbox/vm-layout.ts";
import type { AgentDefinition, AgentFile, LaunchRequest } from "./agent.ts";
import { homeOf, instructionsFile } from "./instructions-file.ts";

const ADAPTER = "pi-acp";
const PI = "@earendil-works/pi-coding-agent";

/** pi, which never asks for permission. */
export const pi: AgentDefinition = {
  name: "pi",
  title: "pi",
  packages: [
    { name: ADAPTER, version: "0.0.34" },
    { name: PI, version: "0.87.1" },
  ],
  instructions: "native",
  // The adapter accepts MCP servers but ignores them.
  mcpServers: false,
  launch(installation, request) {
    const instructions = instructionsFile(request);
    const starter = starterOf(installation.program(PI, "pi"), request, instructions);
    return {
      command: VM_NODE,
      args: [installation.program(ADAPTER, "pi-acp")],
      env: { PI_SKIP_VERSION_CHECK: "1", PI_ACP_PI_COMMAND: starter.path, ...request.env },
      files: [starter, ...(instructions ? [instructions] : [])],
    };
  },
};

/** The adapter starts pi by a command without arguments; this script adds the arguments. */
function starterOf(program: string, { env }: LaunchRequest, instructions: AgentFile | undefined): AgentFile {
  const more = instructions === undefined ? "" : ` --append-system-prompt ${quote(instructions.path)}`;
  const content = `#!/bin/sh\nexec ${VM_NODE} ${quote(program)}${more} "$@"\n`;
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 16);
  return { path: join(homeOf(env), ".agentos", `pi-${hash}`), content, executable: true };
}
