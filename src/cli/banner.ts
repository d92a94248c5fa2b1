import { packageVersion } from "../base/package-version.ts";

/** Facts about a started server. */
export interface BannerFacts {
  /** Address for clients; `engine` replaces it behind a Rivet Engine. */
  endpoint?: string | undefined;
  engine?: string | undefined;
  dataDir: string;
  /** e.g. `"kernel sandbox (user, mount, pid, net, ipc and uts namespaces, no capabilities)"`. */
  isolation: string;
  /** How programs of a VM get out. */
  network: string;
  /** The host's files that a VM sees. */
  visible: string;
  hasToken: boolean;
}

/** @returns the lines that a server prints when it has started. */
export function banner(facts: BannerFacts): string {
  const { endpoint, engine, dataDir, isolation, network, visible, hasToken } = facts;
  const open =
    engine === undefined
      ? "loopback only, no token (set AGENT_VM_TOKEN to let others in)"
      : "clients that the engine lets in (set AGENT_VM_TOKEN to ask for a token too)";
  const rows = [
    engine === undefined ? ["Endpoint", endpoint] : ["Engine", withoutCredentials(engine)],
    ["Data", dataDir],
    ["Isolation", isolation],
    ["Network", network],
    ["Host files", `VMs see ${visible}`],
    ["Access", hasToken ? "token required (AGENT_VM_TOKEN)" : open],
  ];
  const lines = rows.map(([label, text]) => `  ${label?.padEnd(12)} ${text}\n`);
  return `agent-vm ${packageVersion()}\n\n${lines.join("")}\n`;
}

function withoutCredentials(engine: string): string {
  const url = new URL(engine);
  url.username = "";
  url.password = "";
  return url.href;
}
