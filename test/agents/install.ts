import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { AgentDefinition } from "../../src/runtime/sessions/agents/agent.ts";

export interface AgentsFolder {
  path: string;
  /** Removes the folder, unless AGENT_VM_AGENTS_FOLDER names it. */
  drop(): Promise<void>;
}

/** Folder for installed agents: AGENT_VM_AGENTS_FOLDER, which stays for later runs, or a temporary one. */
export async function agentsFolder(): Promise<AgentsFolder> {
  const kept = process.env.AGENT_VM_AGENTS_FOLDER;
  if (kept) {
    await mkdir(kept, { recursive: true });
    return { path: resolve(kept), drop: async () => undefined };
  }
  const path = await mkdtemp(join(tmpdir(), "agent-vm-agents-"));
  // VMs of a root server run under other users, which must be able to read the folder.
  await chmod(path, 0o755);
  return { path, drop: () => rm(path, { recursive: true, force: true }) };
}

/**
 * Installs an agent at the versions of its definition, unless it is installed.
 *
 * @returns the agent's folder `node_modules`
 */
export async function install(folder: string, { name, packages }: AgentDefinition): Promise<string> {
  const wanted = packages.map((wanted) => `${wanted.name}@${wanted.version}`);
  const target = join(folder, [name, ...packages.map(({ version }) => version)].join("-"));
  if (!existsSync(target)) {
    // An interrupted run must not leave an incomplete folder under the final name.
    const draft = `${target}.${process.pid}`;
    await mkdir(draft);
    await writeFile(join(draft, "package.json"), JSON.stringify({ private: true }));
    await npm(draft, ["install", "--ignore-scripts", "--no-audit", "--no-fund", ...wanted]);
    await rename(draft, target);
  }
  return join(target, "node_modules");
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
