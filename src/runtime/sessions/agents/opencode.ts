import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { AgentDefinition } from "./agent.ts";
import { homeOf, instructionsFile } from "./instructions-file.ts";
import { withJson } from "./json-variable.ts";

/** Programs that opencode's npm packages may have installed on this machine, best first. */
function programs(): string[] {
  const base = `opencode-linux-${process.arch}`;
  const kinds = process.arch === "x64" && !hasAvx2() ? [`${base}-baseline`] : [base, `${base}-baseline`];
  const names = existsSync("/etc/alpine-release") ? kinds.map((name) => `${name}-musl`) : kinds;
  // The last one comes from the install script of the package, if npm runs scripts.
  return [...names.map((name) => `${name}/bin/opencode`), "opencode-ai/bin/opencode"];
}

/** By default opencode writes files and runs commands without asking. */
const CONFIG = { permission: { edit: "ask", bash: "ask" } };

/** opencode, a native program that speaks ACP without an adapter. */
export const opencode: AgentDefinition = {
  name: "opencode",
  title: "opencode",
  packages: [{ name: "opencode-ai", version: "1.18.33" }],
  instructions: "native",
  needsOneOf: programs,
  launch(installation, request) {
    const { env } = request;
    const found = programs()
      .map((path) => installation.file(path))
      .find((path) => path !== undefined);
    const instructions = instructionsFile(request);
    const folder = join(env.XDG_CONFIG_HOME || join(homeOf(env), ".config"), "opencode");
    return {
      command: found as string,
      args: ["acp"],
      env: {
        OPENCODE_DISABLE_AUTOUPDATE: "1",
        ...env,
        ...(instructions && {
          OPENCODE_CONFIG_CONTENT: withJson(env.OPENCODE_CONFIG_CONTENT, (present) => ({
            instructions: [present.instructions ?? [], instructions.path].flat(),
          })),
        }),
      },
      files: [
        { path: join(folder, "opencode.json"), content: `${JSON.stringify(CONFIG, null, 2)}\n` },
        ...(instructions ? [instructions] : []),
      ],
    };
  },
};

function hasAvx2(): boolean {
  try {
    return /\bavx2\b/.test(readFileSync("/proc/cpuinfo", "utf8"));
  } catch {
    return false;
  }
}
