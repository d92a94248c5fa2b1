#!/usr/bin/env node
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { makeFolder } from "./actors/folder.ts";
import { listen } from "./actors/listen.ts";
import { createLogger } from "./actors/logger.ts";
import { settingsOf, setup } from "./actors/setup.ts";
import { exitOnSignals } from "./actors/signals.ts";
import { vmActor } from "./actors/vm.ts";
import { AgentVmError, invalidArgument } from "./api/errors.ts";
import { vmOptionsSchema } from "./runtime/options.ts";

const isMain = isProgram(process.argv[1]);
// RivetKit's development mode opens routes, installs signal handlers and misdirects clients on other hosts.
if (isMain) process.env.NODE_ENV ??= "production";

const environment = orExit(() => readEnvironment(process.env));
const logger = orExit(() => createLogger());

/** The ready-made server's registry: `{ vm }`, configured by the environment (see docs/configuration.md). */
export const registry = orExit(() =>
  setup({
    use: { vm: vmActor({ runtime: environment.runtime }) },
    token: environment.token,
    host: environment.host,
    port: environment.port,
    dataDir: environment.dataDir,
    allowedOrigins: environment.allowedOrigins,
    publicUrl: environment.publicUrl,
    logger,
  }),
);

if (isMain) await main();

interface Environment {
  host: string;
  port: number;
  dataDir: string;
  token: string | undefined;
  allowedOrigins: string[];
  publicUrl: string | undefined;
  runtime: "kernel" | "memory";
}

function readEnvironment(env: NodeJS.ProcessEnv): Environment {
  const port = env.PORT || "6420";
  if (!/^\d{1,5}$/.test(port)) throw invalidArgument("PORT", "a port from 1 to 65535", port);
  const runtime = env.AGENT_VM_RUNTIME || "kernel";
  if (runtime !== "kernel" && runtime !== "memory") {
    throw invalidArgument("AGENT_VM_RUNTIME", '"kernel" or "memory"', runtime);
  }
  const stateHome = env.XDG_STATE_HOME || join(homedir(), ".local", "state");
  return {
    host: env.HOST || "127.0.0.1",
    port: Number(port),
    dataDir: resolve(env.AGENT_VM_DATA || join(stateHome, "agent-vm")),
    token: env.AGENT_VM_TOKEN || undefined,
    allowedOrigins: (env.AGENT_VM_ALLOWED_ORIGINS ?? "").split(/[\s,]+/).filter(Boolean),
    publicUrl: env.AGENT_VM_PUBLIC_URL || undefined,
    runtime,
  };
}

async function main(): Promise<void> {
  // A rejection that RivetKit forgot to handle must not take every VM with it.
  process.on("unhandledRejection", (error) => logger.error({ msg: "unhandled rejection", err: error }));
  try {
    makeFolder(environment.dataDir);
    const isolation = await preflight(environment.runtime);
    exitOnSignals();
    const { engine } = settingsOf(registry);
    if (engine === undefined) {
      const { endpoint } = await listen(registry);
      printBanner("Endpoint", endpoint, isolation);
    } else {
      // A runner of that engine: it connects there, and nothing listens here.
      registry.start();
      printBanner("Engine", withoutCredentials(engine), isolation);
    }
  } catch (error) {
    exitWith(error);
  }
}

/** What the banner says of the sandbox. */
interface Isolation {
  /** One line, e.g. `"kernel sandbox (user, mount, pid, net, ipc and uts namespaces, no capabilities)"`. */
  isolation: string;
  /** What of the host a VM can see. */
  visible: string;
}

/** Makes sure that VMs can run here before anybody asks for one. Loaded late: a registry may be imported for its type. */
async function preflight(runtime: Environment["runtime"]): Promise<Isolation> {
  const { vmSandbox } = await import("./runtime/vm-sandbox.ts");
  const { isolation, visible } = vmSandbox(vmOptionsSchema.parse({ runtime }));
  if (runtime === "kernel") {
    const { diagnose, formatDiagnosis } = await import("./runtime/sandbox/kernel/doctor.ts");
    const diagnosis = await diagnose();
    if (!diagnosis.ok) throw new Error(`VMs cannot run here.\n${formatDiagnosis(diagnosis)}`);
  }
  return { isolation, visible };
}

function printBanner(what: string, endpoint: string, { isolation, visible }: Isolation): void {
  const open =
    what === "Engine"
      ? "whoever the engine lets in (set AGENT_VM_TOKEN to ask for a token too)"
      : "loopback only, no token (set AGENT_VM_TOKEN to let others in)";
  const lines = [
    [what, endpoint],
    ["Data", environment.dataDir],
    ["Isolation", isolation],
    ["Of the host", `VMs see ${visible}`],
    ["Access", environment.token === undefined ? open : "token required (AGENT_VM_TOKEN)"],
  ];
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  process.stdout.write(`agent-vm ${version}\n\n`);
  for (const [label, text] of lines) process.stdout.write(`  ${label?.padEnd(12)} ${text}\n`);
  process.stdout.write("\n");
}

function withoutCredentials(endpoint: string): string {
  const url = new URL(endpoint);
  url.username = "";
  url.password = "";
  return url.href;
}

/** Whether this file is what Node was started with, also through a symlink as npm makes for programs. */
function isProgram(program: string | undefined): boolean {
  return (
    program !== undefined && existsSync(program) && realpathSync(program) === fileURLToPath(import.meta.url)
  );
}

/** A start that fails says why in a line, without a stack; an import that fails throws. */
function orExit<Value>(make: () => Value): Value {
  try {
    return make();
  } catch (error) {
    if (!isMain) throw error;
    return exitWith(error);
  }
}

function exitWith(error: unknown): never {
  const { message } = error as Error;
  const hint = error instanceof AgentVmError ? error.metadata.hint : undefined;
  process.stderr.write(`agent-vm: ${message}\n${hint === undefined ? "" : `${hint}\n`}`);
  process.exit(1);
}
