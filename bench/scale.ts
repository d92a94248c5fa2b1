import { readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { createClient, type VmHandle } from "../src/client/index.ts";
import type { registry as Registry } from "../src/server.ts";
import { startServerProcess } from "../test/support/server-process.ts";
import { descendantsOf, resourcesOf } from "../test/support/server-resources.ts";
import { percentile } from "./measure.ts";

/**
 * `npm run bench:scale`: creates many VMs of one server, each with a command and a file of 1 KiB, and prints what they cost.
 * Then all VMs sleep, and wake at once, and sleep again for a while. `--sizes 10,100` chooses the numbers of VMs.
 */
const { values } = parseArgs({ options: { sizes: { type: "string", default: "10,100,300,1000" } } });
const sizes = values.sizes.split(",").map(Number);
const MIB = 1024 * 1024;
const MEASURED_EXECS = 200;
const BURST = 50;
/** VMs that this program creates or puts to sleep at the same time. */
const AT_ONCE = 8;
/** VMs that it wakes at the same time. A client waits 15 s for a connection, so that more could fail on a slow machine. */
const WOKEN_AT_ONCE = 100;
/** Time after which the actors of VMs that sleep have ended, and the server has given their memory back: `sleepTimeoutMs`, and some seconds. */
const REST_MS = 80_000;

const server = await startServerProcess({ env: { AGENT_VM_RUNTIME: "kernel", AGENT_VM_POOL: "2" } });
const pid = server.process.pid as number;
const client = createClient<typeof Registry>({ endpoint: server.endpoint });
const content = new Uint8Array(1024).fill(97);

/** Creates a VM with its first command and file. */
async function create(key: string): Promise<VmHandle<typeof Registry>> {
  const vm = client.vm.getOrCreate(key);
  await vm.exec("true");
  await vm.writeFile("/workspace/file", content);
  return vm;
}

/** Does a piece of work for each item, some of them at the same time. */
async function each<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<unknown>,
  atOnce = AT_ONCE,
): Promise<void> {
  const left = [...items];
  const worker = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

function memoryOf(processes: readonly number[], field: "Pss" | "Rss"): number {
  const kib = processes.map((process) => {
    try {
      const text = readFileSync(`/proc/${process}/smaps_rollup`, "utf8");
      return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0);
    } catch {
      // The process has ended.
      return 0;
    }
  });
  return kib.reduce((sum, each) => sum + each, 0) / 1024;
}

const serverMib = () => memoryOf([pid], "Rss");

/** Delay of the server's event loop since the last question: 99 of 100 turns were later by at most so many milliseconds. */
async function loopDelay(): Promise<number> {
  const text = await (await fetch(`${server.endpoint}/metrics`)).text();
  return Number(/^nodejs_eventloop_lag_p99_seconds (\S+)/m.exec(text)?.[1]) * 1000;
}

const row = (...cells: (string | number)[]) => console.log(`| ${cells.join(" | ")} |`);
const shown = (value: number) =>
  value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0);

console.log(
  `Node ${process.version}, Linux ${release()}, ${cpus().length} x ${cpus()[0]?.model}, ${Math.round(totalmem() / MIB)} MiB\n`,
);
await each(["first"], create);
await loopDelay();
const burst = Array.from({ length: BURST }, (_, index) => client.vm.getOrCreate(`burst-${index}`));
const burstMs = await timed(() => Promise.all(burst.map((vm) => vm.exec("true"))));
console.log(
  `${BURST} VMs at once, with their first command: ${shown(burstMs)} ms; event loop late by ${shown(await loopDelay())} ms (p99)\n`,
);
await each(burst, (vm) => vm.destroy());

const emptyMib = serverMib();
row(
  ...[
    "VMs",
    "ms a VM",
    "server MiB",
    "MiB a VM in the server",
    "PSS MiB a VM",
    "descriptors",
    "mounts of the host",
  ],
  ...["processes", "exec p50 ms", "exec p99 ms", "loop delay p99 ms", "sleep of all s", "wake of all s"],
  ...["server MiB after sleep", `server MiB after ${REST_MS / 1000} s of sleep`],
);
row(...Array.from({ length: 15 }, () => "---:"));
for (const size of sizes) {
  const vms: VmHandle<typeof Registry>[] = [];
  const keys = Array.from({ length: size }, (_, index) => `vm-${size}-${index}`);
  await loopDelay();
  const createdMs = await timed(() => each(keys, async (key) => void vms.push(await create(key))));
  const creationDelay = await loopDelay();
  const mib = serverMib();
  const pss = memoryOf(descendantsOf(pid), "Pss");
  const { descriptors, mounts, processes } = resourcesOf(pid);
  const execs: number[] = [];
  for (let count = 0; count < MEASURED_EXECS; count++) {
    const vm = vms[Math.floor(Math.random() * vms.length)];
    execs.push(await timed(async () => vm?.exec("true")));
  }
  const sleepMs = await timed(() => each(vms, (vm) => vm.sleep()));
  const asleepMib = serverMib();
  const wakeMs = await timed(() => each(vms, (vm) => vm.exec("true"), WOKEN_AT_ONCE));
  // The actors of some may be ending by themselves, which refuses the call.
  await each(vms, (vm) => vm.sleep().catch(() => undefined));
  await new Promise((resolve) => setTimeout(resolve, REST_MS));
  row(
    ...[size, shown(createdMs / size), shown(mib), shown((mib - emptyMib) / size), shown(pss / size)],
    ...[descriptors, mounts, processes, shown(percentile(execs, 0.5)), shown(percentile(execs, 0.99))],
    ...[
      shown(creationDelay),
      shown(sleepMs / 1000),
      shown(wakeMs / 1000),
      shown(asleepMib),
      shown(serverMib()),
    ],
  );
  await each(vms, (vm) => vm.destroy());
}
await client.dispose();
await server.stop("SIGTERM");
process.exit(0);
