import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { onTestFinished, type TestContext } from "vitest";
import { freePort } from "./free-port.ts";
import { type ProgramKind, type ProgramServer, startTestServer } from "./servers.ts";

/** A Rivet Engine that is killed when the test ends. */
export interface Engine {
  /** Address of its gateway, which stays the same. */
  readonly endpoint: string;
  /**
   * Kills the engine and starts it again with its data. Resolves when it is healthy.
   *
   * @param meanwhile runs while there is no engine. @default nothing
   */
  restart(meanwhile?: () => Promise<void>): Promise<void>;
}

/** Thresholds with which the engine moves the actors of a silent server after a few seconds. */
const QUICK = {
  RIVET__PEGBOARD__BASE_RETRY_TIMEOUT: "100",
  RIVET__PEGBOARD__RUNNER_ELIGIBLE_THRESHOLD: "4000",
  RIVET__PEGBOARD__RUNNER_LOST_THRESHOLD: "5000",
  RIVET__PEGBOARD__RUNNER_UPDATE_PING_INTERVAL_MS: "1000",
  RIVET__PEGBOARD__RUNNER_PING_TIMEOUT_MS: "5000",
};

/**
 * The engine's own thresholds, for tests in which no server fails, or one test waits for it. On a busy machine a server may give no sign of
 * life for some seconds, and its VMs would move.
 */
export const PATIENT = {
  RIVET__PEGBOARD__RUNNER_ELIGIBLE_THRESHOLD: "10000",
  RIVET__PEGBOARD__RUNNER_LOST_THRESHOLD: "15000",
  RIVET__PEGBOARD__RUNNER_PING_TIMEOUT_MS: "15000",
};

/** Makes the engine take work on a busy machine, too. It would refuse work by the load of its cgroup. */
const CONFIG = {
  guard: { tcp_nodelay: true },
  runtime: {
    worker_load_shedding_curve: [
      [100_000, 1_000],
      [200_000, 999],
    ],
  },
};

/** Path of the Rivet Engine's program (npm install @rivetkit/engine-cli-linux-x64-musl); `undefined` if there is none. */
export const ENGINE_PROGRAM: string | undefined = process.env.RIVET_ENGINE_BINARY;

/**
 * Starts a Rivet Engine, or skips the test if there is none.
 *
 * @param settings more of its configuration
 */
export async function startEngine(
  context: TestContext,
  env: Record<string, string> = {},
  settings: object = {},
): Promise<Engine> {
  if (ENGINE_PROGRAM === undefined) context.skip("RIVET_ENGINE_BINARY names no Rivet Engine");
  const engine = await runEngine(env, settings);
  onTestFinished(engine.end);
  return engine;
}

/** Starts a Rivet Engine for all tests of a file, which must end it. */
export async function runEngine(
  env: Record<string, string> = {},
  settings: object = {},
): Promise<Engine & { end(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "agent-vm-engine-"));
  const [guard, peer, metrics] = [await freePort(), await freePort(), await freePort()];
  const endpoint = `http://127.0.0.1:${guard}`;
  const config = join(folder, "config.json");
  await writeFile(config, JSON.stringify({ ...CONFIG, ...settings }));
  let child: ChildProcess;
  let exited: Promise<unknown>;
  const start = async () => {
    child = spawn(ENGINE_PROGRAM as string, ["--config", config, "start"], {
      cwd: folder,
      stdio: "ignore",
      env: {
        HOME: folder,
        RIVET__GUARD__PORT: String(guard),
        RIVET__API_PEER__PORT: String(peer),
        RIVET__METRICS__PORT: String(metrics),
        ...(!("postgres" in settings) && { RIVET__FILE_SYSTEM__PATH: join(folder, "db") }),
        ...QUICK,
        ...env,
      },
    });
    exited = once(child, "close");
    while (child.exitCode === null) {
      const health = await fetch(`${endpoint}/health`).catch(() => undefined);
      if (health?.ok) return;
      await delay(50);
    }
    throw new Error(`The engine ended with exit code ${child.exitCode}`);
  };
  const kill = async () => {
    child.kill("SIGKILL");
    await exited;
  };
  await start();
  const restart: Engine["restart"] = async (meanwhile) => {
    await kill();
    await meanwhile?.();
    await start();
  };
  const end = async () => {
    await kill();
    await rm(folder, { recursive: true, force: true });
  };
  return { endpoint, restart, end };
}

/** Starts a server of kernel VMs that runs behind an engine. */
export async function startEngineServer(
  { endpoint }: Engine,
  env: Record<string, string> = {},
  command?: readonly string[],
): Promise<ProgramServer> {
  return await startTestServer({
    kind: "kernel",
    process: true,
    ...(command && { command }),
    env: { RIVET_ENGINE: endpoint, RIVET_RUNNER_VERSION: "1", ...env },
  });
}

/** Secret of all servers of a test behind one engine. */
const PEER_SECRET = "a secret of all servers behind one engine";

/** Starts a server that answers clients for the VMs of every server behind the engine. */
export async function startPeer(
  { endpoint }: Pick<Engine, "endpoint">,
  {
    vms = true,
    env = {},
    kind = "kernel",
  }: { vms?: boolean; env?: Record<string, string>; kind?: ProgramKind } = {},
): Promise<ProgramServer> {
  return await startTestServer({
    kind,
    process: true,
    args: vms ? ["serve"] : ["serve", "--no-vms"],
    env: {
      RIVET_ENGINE: endpoint,
      RIVET_RUNNER_VERSION: "1",
      AGENT_VM_TOKEN: "token of the servers",
      AGENT_VM_SECRET: "a secret that signs the tokens of the servers",
      AGENT_VM_PEER_SECRET: PEER_SECRET,
      AGENT_VM_VMS: vms ? "1" : "0",
      ...(vms && { AGENT_VM_ADVERTISE: `http://127.0.0.1:${await freePort()}` }),
      ...env,
    },
  });
}
