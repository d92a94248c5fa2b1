import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "./free-port.ts";

/** The ready-made server's program. */
export const SERVER_PROGRAM = fileURLToPath(new URL("../../src/server.ts", import.meta.url));

/** A server of fake VMs. */
export const FAKE_SERVER_PROGRAM = fileURLToPath(new URL("./fake-server.ts", import.meta.url));

export interface ServerProcess {
  endpoint: string;
  port: number;
  dataDir: string;
  process: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** Resident memory in MiB. */
  residentMib(): number;
  /** @returns the exit code, or the signal that ended it. */
  exited: Promise<number | string>;
  stop(signal?: NodeJS.Signals): Promise<number | string>;
}

export interface ServerProcessOptions {
  program?: string;
  env?: Record<string, string>;
  port?: number;
  dataDir?: string;
  /** Whether it may exit instead of listening. */
  mayExit?: boolean;
}

/** Starts a server as a program of its own; resolves when it listens. */
export async function startServerProcess(options: ServerProcessOptions = {}): Promise<ServerProcess> {
  const port = options.port ?? (await freePort());
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), "agent-vm-test-")));
  const child = spawn(process.execPath, [options.program ?? SERVER_PROGRAM], {
    // The test runner's own NODE_ENV must not reach it.
    env: {
      PATH: process.env.PATH ?? "",
      HOME: process.env.HOME ?? "",
      PORT: String(port),
      AGENT_VM_DATA: dataDir,
      AGENT_VM_RUNTIME: "memory",
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
