import { spawn } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Runs a shell line on the host, as a VM would: the golden output that a VM's is held against. */
export function onHost(
  line: string,
  options: { env?: Record<string, string>; cwd?: string } = {},
): Promise<{ exitCode: number; stdout: string; stderr: string; signal: string | null }> {
  // With a socket for stdin, as Node makes it, bash takes itself for a remote shell and reads ~/.bashrc.
  const child = spawn("/usr/bin/bash", ["-c", line], {
    env: {
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      LANG: "C.UTF-8",
      ...options.env,
    },
    cwd: options.cwd ?? "/",
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  return new Promise((resolve) => {
    child.on("close", (code, signal) => resolve({ exitCode: code ?? -1, stdout, stderr, signal }));
  });
}

/** Descriptors of this process: number -> what it is open on. Numbers say nothing, so only the targets are given. */
export function openDescriptors(): string[] {
  const found: string[] = [];
  for (const fd of readdirSync("/proc/self/fd")) {
    try {
      found.push(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      // The descriptor of this very listing.
    }
  }
  return found.sort();
}

/** Every process that descends from this one. */
export function ownDescendants(): number[] {
  const found: number[] = [];
  const pending = [process.pid];
  for (let pid = pending.pop(); pid !== undefined; pid = pending.pop()) {
    for (const child of childrenOf(pid)) {
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
