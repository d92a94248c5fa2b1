import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { createClient } from "../src/client/index.ts";
import type { VmHandle } from "../src/client/types.ts";
import type { registry as Registry } from "../src/server.ts";
import { seededRandom } from "../test/support/random.ts";
import { open } from "../test/support/scripted.ts";
import { startServerProcess } from "../test/support/server-process.ts";
import { descendantsOf, resourcesOf } from "../test/support/server-resources.ts";

/**
 * `npm run soak`: many VMs boot, work, sleep, wake, crash, fork and end on one server. Afterwards the server must hold what it
 * held before. VMS, MINUTES and SEED are variables. Prints a report and fails if something is left.
 */
const VMS = Number(process.env.VMS ?? 200);
const MINUTES = Number(process.env.MINUTES ?? 60);
const SEED = Number(process.env.SEED ?? 1);
/** Actions that run at once. */
const LANES = Number(process.env.LANES ?? 8);
/** Growth that does not count as a leak: code, caches, and free pages of databases, 0.3 KiB of the index for each VM and fork. */
const KEPT: Readonly<Record<string, number>> = {
  heapMib: 32,
  residentMib: 300,
  dataKib: 64 + VMS / 2,
  timers: 2,
};
const SETTLE_MS = 120_000;

const PROGRAM = fileURLToPath(new URL("./soak-server.ts", import.meta.url));
const server = await startServerProcess({ program: PROGRAM, env: { SLEEP_TIMEOUT_MS: "5000" } });
const pid = server.process.pid as number;
const client = createClient<typeof Registry>({ endpoint: server.endpoint });
const counts: Record<string, number> = {};
const failures: string[] = [];
const forks = new Set<string>();

/** Codes of calls whose VM another lane or a crash has ended. */
const ENDED = new Set([
  "vm_stopped",
  "vm_destroyed",
  "actor_not_found",
  "duplicate_key",
  "call_lost",
  "session_not_found",
  "agent_crashed",
  "agent_failed",
  "shell_not_found",
  "cron_job_not_found",
  "boot_failed",
  "connection_lost",
]);

/** An action on a VM. Errors of the VMs that end meanwhile count by their code. */
type Action = (vm: VmHandle, key: string) => Promise<unknown>;
const ACTIONS: Readonly<Record<string, Action>> = {
  exec: (vm) => vm.exec("seq 1000 | sha256sum; (sleep 1000 &) > /dev/null 2>&1"),
  file: (vm) => vm.writeFile(`/workspace/${Math.random()}`, "x".repeat(50_000)),
  sleep: (vm) => vm.sleep(),
  wake: (vm) => vm.exists("/workspace"),
  restart: (vm) => vm.restart(),
  crash: async (vm) => {
    await vm.exec("true");
    crash();
  },
  fork: async (vm, key) => {
    if (forks.size > VMS / 2) return;
    const name = `${key}-fork-${Math.random()}`;
    forks.add(name);
    await vm.fork(name);
  },
  destroy: (vm) => vm.destroy(),
  session: async (vm) => {
    const id = await open(vm);
    await vm.sendPrompt(id, "say hello");
    await vm.destroySession(id);
  },
  preview: async (vm) => {
    const { url, token } = await vm.createSignedPreviewUrl(8080);
    // Another lane may end the VM meanwhile.
    await fetch(url).catch(() => undefined);
    await vm.expireSignedPreviewUrl(token);
  },
  shell: async (vm) => {
    const { shellId } = await vm.openShell();
    await vm.closeShell(shellId);
  },
  cron: async (vm) => {
    await vm.scheduleCron({ id: "soak", schedule: "@yearly", action: { type: "exec", command: "true" } });
    await vm.runCronJob("soak");
  },
};

await run(client.vm.getOrCreate("first"), "session", "first");
await client.vm.getOrCreate("first").destroy();
const before = await settled();
const end = Date.now() + MINUTES * 60_000;
await Promise.all(Array.from({ length: LANES }, (_, lane) => work(seededRandom(SEED * 1000 + lane))));
const busiest = await measured();
for (;;) {
  const { vms } = await client.vm.list({ limit: 100 });
  if (vms.length === 0) break;
  await Promise.all(vms.map(({ key }) => run(client.vm.getOrCreate([...key]), "destroy", key.join("/"))));
}
const after = await settled(before);
console.log(report());
await client.dispose();
await server.stop("SIGTERM");
process.exit(leaks().length > 0 || failures.length > 0 ? 1 : 0);

/** Does actions on random VMs until the end. */
async function work(random: ReturnType<typeof seededRandom>): Promise<void> {
  const names = Object.keys(ACTIONS);
  while (Date.now() < end) {
    const key = `vm-${random.below(VMS)}`;
    await run(client.vm.getOrCreate(key), names[random.below(names.length)] as string, key);
  }
}

async function run(vm: VmHandle, name: string, key: string): Promise<void> {
  counts[name] = (counts[name] ?? 0) + 1;
  try {
    await ACTIONS[name]?.(vm, key);
  } catch (error) {
    const { code = String(error) } = error as { code?: string };
    counts[`  ${code}`] = (counts[`  ${code}`] ?? 0) + 1;
    if (!ENDED.has(code)) failures.push(`${name} of ${key}: ${String(error)}`);
  }
}

/** Kills the first process of a VM, as a crash of the VM. */
function crash(): void {
  const victims = descendantsOf(pid).filter((each) => /^NSpid:\s.*\s1$/m.test(statusOf(each)));
  const victim = victims[Math.floor(Math.random() * victims.length)];
  try {
    if (victim !== undefined) process.kill(victim, "SIGKILL");
  } catch {
    // Ended meanwhile.
  }
}

function statusOf(process: number): string {
  try {
    return readFileSync(`/proc/${process}/status`, "utf8");
  } catch {
    // Ended meanwhile.
    return "";
  }
}

/** Measures until nothing is above an earlier measurement, or for two minutes. */
async function settled(earlier?: Record<string, number>): Promise<Record<string, number>> {
  const deadline = Date.now() + SETTLE_MS;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    const now = await measured();
    if (earlier === undefined || above(earlier, now).length === 0 || Date.now() > deadline) return now;
  }
}

async function measured(): Promise<Record<string, number>> {
  const seen = server.stderr().split("SOAK ").length;
  server.process.kill("SIGUSR2");
  while (server.stderr().split("SOAK ").length === seen || !server.stderr().endsWith("\n"))
    await new Promise((resolve) => setTimeout(resolve, 20));
  const told = JSON.parse(server.stderr().split("SOAK ").at(-1)?.split("\n")[0] ?? "{}") as object;
  const bytes = filesIn(server.dataDir).reduce((sum, [, size]) => sum + size, 0);
  return { ...told, ...resourcesOf(pid), dataKib: bytes / 1024 };
}

/** The files of a folder and their bytes, without the logs of databases, which keep their size. */
function filesIn(folder: string): [path: string, bytes: number][] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && !/-(wal|shm)$/.test(entry.name))
    .flatMap(({ parentPath, name }) => {
      const path = join(parentPath, name);
      try {
        return [[relative(folder, path), statSync(path).size] as [string, number]];
      } catch {
        // Deleted meanwhile.
        return [];
      }
    });
}

/** Names what has grown by more than caches do. */
function above(earlier: Record<string, number>, later: Record<string, number>): string[] {
  return Object.keys(earlier).filter((name) => (later[name] ?? 0) > (earlier[name] ?? 0) + (KEPT[name] ?? 0));
}

function leaks(): string[] {
  return above(before, after);
}

function report(): string {
  const rows = Object.keys(before).map((name) => {
    const cells = [before, busiest, after].map((measurement) =>
      (measurement[name] ?? 0).toFixed(name.endsWith("Mib") ? 1 : 0),
    );
    return `| ${[name, ...cells].join(" | ")} |`;
  });
  const actions = Object.entries(counts).map(([name, count]) => `${name.trim()} ${count}`);
  return [
    `${new Date().toISOString().slice(0, 10)}: ${VMS} VMs, ${MINUTES} minutes, ${LANES} actions at once, seed ${SEED}`,
    "",
    "| resource of the server | before | with VMs | after all are destroyed |",
    "|---|---:|---:|---:|",
    ...rows,
    "",
    `Actions and error codes: ${actions.join(", ")}`,
    `Left: ${leaks().join(", ") || "nothing"}`,
    `Files: ${filesIn(server.dataDir)
      .map(([path, bytes]) => `${path} ${bytes}`)
      .join(", ")}`,
    ...failures.slice(0, 20).map((failure) => `Failed: ${failure}`),
  ].join("\n");
}
