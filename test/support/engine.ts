import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { onTestFinished } from "vitest";
import { freePort } from "./free-port.ts";

/** The program of a Rivet Engine, where there is one (npm install @rivetkit/engine-cli-linux-x64-musl). */
export const ENGINE_PROGRAM: string | undefined = process.env.RIVET_ENGINE_BINARY;

/** A Rivet Engine of its own, gone when the test ends. Resolves with its address when it is well. */
export async function startEngine(program: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "agent-vm-engine-"));
  const [guard, peer, metrics] = [await freePort(), await freePort(), await freePort()];
  const child = spawn(program, ["start"], {
    cwd: folder,
    stdio: "ignore",
    env: {
      HOME: folder,
      RIVET__GUARD__PORT: String(guard),
      RIVET__API_PEER__PORT: String(peer),
      RIVET__METRICS__PORT: String(metrics),
      RIVET__FILE_SYSTEM__PATH: join(folder, "db"),
      RIVET__PEGBOARD__BASE_RETRY_TIMEOUT: "100",
    },
  });
  const exited = once(child, "close");
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await exited;
    await rm(folder, { recursive: true, force: true });
  });
  const endpoint = `http://127.0.0.1:${guard}`;
  while (child.exitCode === null) {
    const health = await fetch(`${endpoint}/health`).catch(() => undefined);
    if (health?.ok) return endpoint;
    await delay(50);
  }
  throw new Error(`The engine has ended with ${child.exitCode}`);
}
