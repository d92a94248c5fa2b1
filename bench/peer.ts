import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const PACKAGE = "@rivet-dev/agentos-core";

interface PeerResult {
  exitCode: number;
  stdout: string;
}

export interface Peer {
  exec(line: string): Promise<PeerResult>;
  readFile(path: string): Promise<Uint8Array>;
  writeFile(path: string, content: Uint8Array): Promise<void>;
  dispose(): Promise<void>;
}

/** Installs agentOS's core in a temporary folder. No part of it enters this project. */
export async function installPeer(): Promise<{
  create: () => Promise<Peer>;
  version: string;
  remove: () => void;
}> {
  const folder = mkdtempSync(join(tmpdir(), "agent-vm-peer-"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  execFileSync("npm", ["install", "--silent", "--no-audit", "--no-fund", PACKAGE], {
    cwd: folder,
    stdio: "inherit",
  });
  const installed = join(folder, "node_modules", PACKAGE);
  const { main, version } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as {
    main: string;
    version: string;
  };
  const module = (await import(pathToFileURL(join(installed, main)).href)) as {
    AgentOs: { create(options?: object): Promise<Peer> };
  };
  return {
    create: () => module.AgentOs.create(),
    version,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
