import { spawn } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { collectOutput } from "./program-output.ts";

/** Runs a shell line on the host as a VM would. Tests compare a VM's output with this golden output. */
export function onHost(
  line: string,
  options: { env?: Record<string, string>; cwd?: string } = {},
): Promise<{ exitCode: number; stdout: string; stderr: string; signal: string | null }> {
  // Node's pipe for stdin is a socket. With a socket bash assumes a remote shell and reads ~/.bashrc.
  const child = spawn("/usr/bin/bash", ["-c", line], {
    env: {
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      LANG: "C.UTF-8",
      ...options.env,
    },
    cwd: options.cwd ?? "/",
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = collectOutput(child);
  return new Promise((resolve) => {
    child.on("close", (code, signal) => resolve({ exitCode: code ?? -1, ...output, signal }));
  });
}

/** Returns the targets of this process's open descriptors, sorted. Their numbers do not matter. */
export function openDescriptors(): string[] {
  const found: string[] = [];
  for (const fd of readdirSync("/proc/self/fd")) {
    try {
      found.push(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      // The descriptor of the listing itself is closed already.
    }
  }
  return found.sort();
}

/** Children of this process that outlive the tests of a file. */
const lasting = new Set<number>();

/** Leaves a child and its descendants out of {@link ownDescendants}. */
export function leaveOut(pid: number): void {
  lasting.add(pid);
}

/** Returns the pids of all descendants of this process. */
export function ownDescendants(): number[] {
  const found: number[] = [];
  const pending = [process.pid];
  for (let pid = pending.pop(); pid !== undefined; pid = pending.pop()) {
    for (const child of childrenOf(pid)) {
      if (lasting.has(child)) continue;
      found.push(child);
      pending.push(child);
    }
  }
  return found;
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((tid) =>
      readFileSync(`/proc/${pid}/task/${tid}/children`, "utf8").split(" ").filter(Boolean).map(Number),
    );
  } catch {
    return [];
  }
}

export const isRoot = process.getuid?.() === 0;
