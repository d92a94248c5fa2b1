import { packageVersion } from "../base/package-version.ts";
import { withoutCredentials } from "./server-choice.ts";

/** Facts about a started server. */
export interface BannerFacts {
  /** Address for clients; `undefined` if they reach the server through its engine alone. */
  endpoint?: string | undefined;
  engine?: string | undefined;
  dataDir: string;
  /** e.g. `"kernel sandbox (user, mount, pid, net, ipc and uts namespaces, no capabilities)"`. Absent without VMs. */
  isolation?: string | undefined;
  /** How programs of a VM get out. */
  network?: string | undefined;
  /** The host's files that a VM sees. */
  visible?: string | undefined;
  hasToken: boolean;
}

/** @returns the lines that a server prints when it has started. */
export function banner(facts: BannerFacts): string {
  const { endpoint, engine, dataDir, isolation, network, visible, hasToken } = facts;
  const open =
    endpoint !== undefined
      ? "loopback only, no token (set AGENT_VM_TOKEN to let others in)"
      : "clients that the engine lets in (set AGENT_VM_TOKEN to ask for a token too)";
  const rows = [
    ...(endpoint === undefined ? [] : [["Endpoint", endpoint]]),
    ...(engine === undefined ? [] : [["Engine", withoutCredentials(engine)]]),
    ["Data", dataDir],
    ...(isolation === undefined
      ? [["VMs", "none: the other servers behind the engine have them"]]
      : [
          ["Isolation", isolation],
          ["Network", network],
          ["Host files", `VMs see ${visible}`],
        ]),
    ["Access", hasToken ? "token required (AGENT_VM_TOKEN)" : open],
  ];
  const lines = rows.map(([label, text]) => `  ${label?.padEnd(12)} ${text}\n`);
  return `agent-vm ${packageVersion()}\n\n${lines.join("")}\n`;
}
