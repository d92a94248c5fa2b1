import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createClient, type VmHandle } from "../src/client/index.ts";
import type { registry as Registry } from "../src/server.ts";
import { freePort } from "../test/support/free-port.ts";
import { type ServerProcess, startServerProcess } from "../test/support/server-process.ts";

/**
 * `npm run bench:engine`: measures what one Rivet Engine carries, with VMs in memory, which cost their server next to nothing.
 * Needs RIVET_ENGINE_BINARY. VMS chooses the number of VMs, and DRAINED how many of them a drained server has. ONLY=drain leaves the rest out.
 */
const program = process.env.RIVET_ENGINE_BINARY;
if (program === undefined) throw new Error("RIVET_ENGINE_BINARY names no Rivet Engine");
const VMS = Number(process.env.VMS ?? 300);
const AT_ONCE = 16;
const TOKEN = "token of the server";
const MIB = 1024 * 1024;
/** VMs of a server that is drained. */
const DRAINED = Math.min(Number(process.env.DRAINED ?? 50), VMS);
const ONLY_DRAIN = process.env.ONLY === "drain";

const folder = mkdtempSync(join(tmpdir(), "agent-vm-engine-"));
const [guard, peer, metrics] = [await freePort(), await freePort(), await freePort()];
const endpoint = `http://127.0.0.1:${guard}`;
const deployed = readFileSync(join(import.meta.dirname, "../deploy/fleet/config.json"), "utf8");
const config = join(folder, "config.json");
// The engine shares its processors with this program, and would refuse work by their load.
const runtime = {
  worker_load_shedding_curve: [
    [100_000, 1_000],
    [200_000, 999],
  ],
};
writeFileSync(config, JSON.stringify({ ...JSON.parse(deployed), runtime }));
const engine: ChildProcess = spawn(program, ["--config", config, "start"], {
  cwd: folder,
  stdio: "ignore",
  env: {
    HOME: folder,
    RIVET__GUARD__PORT: String(guard),
    RIVET__API_PEER__PORT: String(peer),
    RIVET__METRICS__PORT: String(metrics),
    RIVET__FILE_SYSTEM__PATH: join(folder, "db"),
  },
});
while (!(await fetch(`${endpoint}/health`).catch(() => undefined))?.ok) await delay(50);
const startServer = async () =>
  await startServerProcess({
    env: {
      AGENT_VM_RUNTIME: "memory",
      RIVET_ENGINE: endpoint,
      RIVET_RUNNER_VERSION: "1",
      AGENT_VM_TOKEN: TOKEN,
      AGENT_VM_PEER_SECRET: "a secret of all servers behind the engine",
      AGENT_VM_ADVERTISE: `http://127.0.0.1:${await freePort()}`,
    },
  });
const server = await startServer();
let other: ServerProcess | undefined;
let client = createClient<typeof Registry>({ endpoint, token: TOKEN });
/** A client that asks the server itself. */
const direct = createClient<typeof Registry>({ endpoint: server.endpoint, token: TOKEN });
const vm = (index: number): VmHandle<typeof Registry> => client.vm.getOrCreate(`vm-${index}`);
while (
  !(await vm(-1)
    .exists("/")
    .catch(() => false))
)
  await delay(100);

/** Whether the newest VMs sleep. */
async function areAsleep(): Promise<boolean> {
  const response = await fetch(`${endpoint}/actors?namespace=default&name=vm&limit=30`);
  const { actors } = (await response.json()) as {
    actors: { sleep_ts: number | null; connectable_ts: number | null }[];
  };
  return actors.every(({ sleep_ts, connectable_ts }) => sleep_ts !== null && connectable_ts === null);
}

interface Usage {
  cpuMs: number;
  rssMib: number;
}

function usage(): Usage {
  const stat = readFileSync(`/proc/${engine.pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [, rss = "0"] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${engine.pid}/status`, "utf8")) ?? [];
  return { cpuMs: (Number(fields[11]) + Number(fields[12])) * 10, rssMib: Number(rss) / 1024 };
}

/** Does `count` pieces of work, some at once, and prints how many a second, and what each has cost the engine. */
async function measure(
  name: string,
  count: number,
  work: (index: number) => Promise<unknown>,
): Promise<void> {
  const before = usage();
  const startedAt = performance.now();
  let next = 0;
  let failed = 0;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (next < count) {
        const index = next++;
        await work(index).catch(() => {
          failed += 1;
        });
      }
    }),
  );
  const seconds = (performance.now() - startedAt) / 1000;
  const after = usage();
  const each = (after.cpuMs - before.cpuMs) / count;
  console.log(
    `${name.padEnd(34)} ${(count / seconds).toFixed(0).padStart(6)}/s   engine ${each.toFixed(2).padStart(7)} ms CPU each   ${after.rssMib.toFixed(0)} MiB   ${failed} failed`,
  );
}

/** Prints when the first, the middle and the last VM had done something. */
function printTimes(name: string, times: readonly number[]): void {
  const sorted = times.toSorted((one, other) => one - other);
  const at = (place: number) => String(Math.round(sorted[Math.floor(place)] ?? 0)).padStart(7);
  const last = sorted.length - 1;
  console.log(`${name.padEnd(34)} first ${at(0)} ms   middle ${at(last / 2)} ms   last ${at(last)} ms`);
}

/** Drains the server, and prints when its VMs have answered on another one. */
async function measureDrain(count: number): Promise<void> {
  const vms = Array.from({ length: count }, (_, index) => vm(index));
  await Promise.all(vms.map((each) => each.writeFile("/moved", "moved")));
  const connections = vms.map((each) => each.connect());
  await Promise.all(connections.map((connection) => connection.status()));
  other = await startServer();
  const before = usage();
  const startedAt = performance.now();
  const since = () => performance.now() - startedAt;
  server.process.kill("SIGTERM");
  const exited = server.exited.then(() => since());
  while (
    await fetch(`${server.endpoint}/health/ready`).then(
      ({ ok }) => ok,
      () => false,
    )
  )
    await delay(5);
  const answered: number[] = [];
  const read: number[] = [];
  let failed = 0;
  await Promise.all(
    connections.map(async (connection) => {
      try {
        await connection.status();
        answered.push(since());
        await connection.readFile("/moved");
        read.push(since());
      } catch {
        failed += 1;
      }
    }),
  );
  const each = (usage().cpuMs - before.cpuMs) / count;
  printTimes(`drain of ${count} VMs: status`, answered);
  printTimes(`drain of ${count} VMs: stored file`, read);
  console.log(
    `${`drain of ${count} VMs: server exits`.padEnd(34)} after ${Math.round(await exited)} ms   engine ${each.toFixed(2).padStart(7)} ms CPU each   ${failed} failed`,
  );
}

/** Measures everything but the drain. */
async function measureWork(): Promise<void> {
  await measure("creations, first answer", VMS, (index) => vm(index).exists("/"));
  await measure("short calls (HTTP)", VMS * 4, (index) => vm(index % VMS).exists("/"));
  const connections = Array.from({ length: VMS }, (_, index) => vm(index).connect());
  await measure("connections opened", VMS, (index) => connections[index]!.exists("/"));
  await measure("calls over connections", VMS * 10, (index) => connections[index % VMS]!.exists("/"));
  const before = usage();
  await delay(5_000);
  console.log(
    `${`${VMS} idle VMs and connections`.padEnd(34)} engine ${((usage().cpuMs - before.cpuMs) / 50).toFixed(1)} % of a CPU, ${before.rssMib.toFixed(0)} MiB`,
  );
  const kib = Buffer.alloc(1024, 1);
  await measure("durable writes of 1 KiB", VMS * 4, (index) => vm(index % VMS).writeFile("/file", kib));
  const near = (index: number) => direct.vm.getOrCreate(`vm-${index % VMS}`);
  for (let index = 0; index < VMS; index += 1) await near(index).resolve();
  await measure("durable writes of 1 KiB, direct", VMS * 4, (index) => near(index).writeFile("/near", kib));
  const mib = Buffer.alloc(MIB, 2);
  await measure("durable writes of 1 MiB", 64, (index) => vm(index % VMS).writeFile("/large", mib));
  await measure("reads of 1 MiB", 64, (index) => vm(index % VMS).readFile("/large"));
  await client.dispose();
  while (!(await areAsleep())) await delay(1_000);
  client = createClient<typeof Registry>({ endpoint, token: TOKEN });
  await measure("wakes, first answer", VMS, (index) => vm(index).exists("/file"));
}

try {
  if (!ONLY_DRAIN) await measureWork();
  await measureDrain(DRAINED);
} finally {
  await client.dispose();
  await direct.dispose();
  await Promise.all([server, other].map((each) => each?.stop("SIGTERM")));
  engine.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
}
