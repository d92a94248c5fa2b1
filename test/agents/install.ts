import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { AgentDefinition } from "../../src/runtime/sessions/agents/agent.ts";

export interface AgentsFolder {
  path: string;
  /** Removes it, unless it is one to keep. */
  drop(): Promise<void>;
}

/** Where agents are installed: AGENT_VM_AGENTS_FOLDER, which is kept from run to run, or one for this run. */
export async function agentsFolder(): Promise<AgentsFolder> {
  const kept = process.env.AGENT_VM_AGENTS_FOLDER;
  if (kept) {
    await mkdir(kept, { recursive: true });
    return { path: resolve(kept), drop: async () => undefined };
  }
  const path = await mkdtemp(join(tmpdir(), "agent-vm-agents-"));
  // VMs of a root server run under users of their own.
  await chmod(path, 0o755);
  return { path, drop: () => rm(path, { recursive: true, force: true }) };
}

/**
 * Installs an agent at the versions that its definition names, where it is not installed yet.
 *
 * @returns its folder `node_modules`.
 */
export async function install(folder: string, { name, packages }: AgentDefinition): Promise<string> {
  const wanted = packages.map((wanted) => `${wanted.name}@${wanted.version}`);
  const place = join(folder, [name, ...packages.map(({ version }) => version)].join("-"));
  if (!existsSync(place)) {
    // A run that is cut short must not leave half an agent under the name of a whole one.
    const draft = `${place}.${process.pid}`;
    await mkdir(draft);
    await writeFile(join(draft, "package.json"), JSON.stringify({ private: true }));
    await npm(draft, ["install", "--ignore-scripts", "--no-audit", "--no-fund", ...wanted]);
    await rename(draft, place);
  }
  return join(place, "node_modules");
}

async function npm(cwd: string, args: string[]): Promise<void> {
  const child = spawn("npm", args, { cwd, stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`npm ${args.join(" ")} ended with ${code}: ${errors.slice(-2000)}`);
}
