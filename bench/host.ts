import { spawn } from "node:child_process";
import { createRequire } from "node:module";

const ENV = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: "/tmp",
  LANG: "C.UTF-8",
};

/** Runs a shell line on the host with one spawn and collects its stdout, like a server without a sandbox. */
export function hostExec(line: string): Promise<string> {
  return hostRun("/usr/bin/bash", ["-c", line]);
}

export function hostRun(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { env: ENV, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout.on("data", (data: Buffer) => {
    output += data.toString("utf8");
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", () => resolve(output));
  });
}

interface HostTerminal {
  write(data: string): void;
  onData(listener: (data: string) => void): void;
  kill(): void;
}

/** Starts cat on a terminal of the host, for echo round trips. */
export function hostTerminal(): HostTerminal {
  const pty = createRequire(import.meta.url)("node-pty") as {
    spawn(file: string, args: string[], options: object): HostTerminal;
  };
  return pty.spawn("/usr/bin/cat", [], { cols: 80, rows: 24, env: ENV });
}
