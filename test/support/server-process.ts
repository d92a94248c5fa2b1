import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { freePort } from "./free-port.ts";
import { folderOfProcess } from "./process-folder.ts";
import { programEnv } from "./program-env.ts";

/** The program `agent-vm`; `serve` starts the ready-made server. */
export const AGENT_VM_PROGRAM = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

export interface ServerProcess {
  endpoint: string;
  port: number;
  dataDir: string;
  process: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** Resident memory in MiB. */
  residentMib(): number;
  /** Resolves with the exit code, or with the signal that ended the server. */
  exited: Promise<number | string>;
  stop(signal?: NodeJS.Signals): Promise<number | string>;
}

export interface ServerProcessOptions {
  /** A program that listens on PORT. @default agent-vm */
  program?: string;
  /** @default `["serve"]` for agent-vm, `[]` for another program */
  args?: readonly string[];
  /** The whole command line instead of `program` and `args`. */
  command?: readonly string[];
  env?: Record<string, string>;
  port?: number;
  dataDir?: string;
  /** Whether the server may exit instead of listening. */
  mayExit?: boolean;
}

/** Starts a server as a separate program. Resolves when it listens. */
export async function startServerProcess(options: ServerProcessOptions = {}): Promise<ServerProcess> {
  const port = options.port ?? (await freePort());
  const dataDir = options.dataDir ?? folderOfProcess();
  const { program = AGENT_VM_PROGRAM, args = options.program === undefined ? ["serve"] : [] } = options;
  const [command = "", ...rest] = options.command ?? [process.execPath, program, ...args];
  const child = spawn(command, rest, {
    env: {
      ...programEnv(),
      PORT: String(port),
      AGENT_VM_DATA: dataDir,
      AGENT_VM_RUNTIME: "memory",
      AGENT_VM_POOL: "0",
      ...options.env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { stdout: "", stderr: "" };
  const { promise: listening, resolve: listens } = Promise.withResolvers<void>();
  child.stdout.on("data", (data) => {
    output.stdout += data;
    if (output.stdout.endsWith("\n\n") && output.stdout.includes("Access")) listens();
  });
  child.stderr.on("data", (data) => {
    output.stderr += data;
  });
  const exited = once(child, "close").then(([code, signal]) => (code ?? signal) as number | string);
  await Promise.race([
    listening,
    exited.then((status) => {
      if (!options.mayExit) throw new Error(`The server ended with ${status}: ${output.stderr}`);
    }),
  ]);
  return {
    endpoint: `http://127.0.0.1:${port}`,
    port,
    dataDir,
    process: child,
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    residentMib: () =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) / 1024,
    exited,
    async stop(signal = "SIGKILL") {
      child.kill(signal);
      const status = await exited;
      if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
      return status;
    },
  };
}
