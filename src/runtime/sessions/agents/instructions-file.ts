import { createHash } from "node:crypto";
import { join } from "node:path";
import { VM_HOME } from "../../sandbox/vm-layout.ts";
import type { AgentFile, LaunchRequest } from "./agent.ts";

/** Instructions as a file, named by a hash of them: sessions with equal instructions share one file. */
export function instructionsFile({ env, instructions }: LaunchRequest): AgentFile | undefined {
  if (instructions === undefined) return undefined;
  const hash = createHash("sha256").update(instructions).digest("hex").slice(0, 16);
  return { path: join(homeOf(env), ".agentos", `instructions-${hash}.md`), content: `${instructions}\n` };
}

export function homeOf(env: LaunchRequest["env"]): string {
  return env.HOME || VM_HOME;
}
