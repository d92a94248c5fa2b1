import { PerformanceObserver } from "node:perf_hooks";
import { vmOptionsSchema } from "../src/runtime/options.ts";
import { assembleVm, type Vm } from "../src/runtime/vm.ts";
import { openShared } from "../src/runtime/vm-shared.ts";
import { actorStores } from "./actor-stores.ts";
import { measure } from "./loop.ts";

/**
 * `npm run bench:trees`: memory of the server and turns of its event loop while several VMs with the worst trees do at once
 * everything that reads a tree.
 */
const VMS = Number(process.env.VMS ?? "5");
const FILES = Number(process.env.FILES ?? "60000");
const DEPTH = Number(process.env.DEPTH ?? "600");
const DEEP_FILES = 2000;
const MIB = 1024 * 1024;

const stores = await actorStores();

const options = vmOptionsSchema.parse({ checkpoint: { intervalMs: 2_000_000_000 } });
const shared = openShared(options);
const hooks = { emit: () => undefined, keepAwake: () => undefined };

async function newVm(key: string): Promise<Vm> {
  return assembleVm(shared, hooks, { store: await stores.open(key) });
}

/** Runs a program in a VM. @throws Error if it fails */
async function python(vm: Vm, program: string): Promise<void> {
  const { exitCode, stderr } = await vm.execArgv("python3", ["-c", program], { timeout: 300_000 });
  if (exitCode !== 0) throw new Error(stderr);
}

/** Most files are in one folder, the others below a chain of long names. An archive has the whole path of each of them. */
const fill = `import os
os.chdir('/workspace')
def make(count):
  for i in range(count): os.close(os.open(('f%d' % i).ljust(250, 'x'), os.O_CREAT | os.O_WRONLY))
make(${FILES - DEEP_FILES})
d = os.open('.', os.O_RDONLY)
for i in range(${DEPTH}):
  os.mkdir('n' * 255, dir_fd=d); e = os.open('n' * 255, os.O_RDONLY, dir_fd=d); os.close(d); d = e
os.fchdir(d)
make(${DEEP_FILES})`;

/** Renames every tenth file. */
const rename = (from: string, to: string) => `import os
os.chdir('/workspace')
for i in range(0, ${FILES - DEEP_FILES}, 10): os.rename(('${from}%d' % i).ljust(250, 'x'), ('${to}%d' % i).ljust(250, 'x'))`;

/** Reads a whole archive and keeps nothing of it. */
async function drain(vm: Vm): Promise<void> {
  const { transferId } = await vm.beginTarRead("/");
  for (let offset = 0, bytes = -1; bytes !== 0; offset += bytes)
    bytes = (await vm.readTarChunk(transferId, offset)).length;
  await vm.endFileTransfer(transferId);
}

/** Codes of the failures, with their number. */
function refusals(outcomes: readonly PromiseSettledResult<unknown>[]): string {
  const counts = new Map<string, number>();
  for (const outcome of outcomes) {
    if (outcome.status === "fulfilled") continue;
    const { code, message, metadata } = outcome.reason as {
      code?: string;
      message: string;
      metadata?: { limit?: string };
    };
    const name = `${code ?? message} ${metadata?.limit ?? ""}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => `${count} ${name}`).join(", ") || "none";
}

console.log(
  "| phase | s | server grows by, MiB | heap, buffers at its peak, MiB | longest turn, CPU ms | longest GC pause, ms | refused |",
);
console.log("|---|---:|---:|---:|---:|---:|---|");

const vms = await Promise.all(Array.from({ length: VMS }, (_, index) => newVm(`vm-${index}`)));
for (const vm of vms) await python(vm, fill);
(globalThis as { gc?: () => void }).gc?.();
const base = process.memoryUsage().rss;

async function phase(name: string, work: () => Promise<unknown>[]): Promise<void> {
  const pauses: { kind: number; ms: number }[] = [];
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { detail, duration } = entry as typeof entry & { detail: { kind: number } };
      pauses.push({ kind: detail.kind, ms: duration });
    }
  });
  observer.observe({ entryTypes: ["gc"] });
  let peak = process.memoryUsage();
  const sampler = setInterval(() => {
    if (process.memoryUsage.rss() > peak.rss) peak = process.memoryUsage();
  }, 5);
  let outcomes: PromiseSettledResult<unknown>[] = [];
  const { ms, cpu } = await measure(async () => {
    outcomes = await Promise.allSettled(work());
  });
  clearInterval(sampler);
  observer.disconnect();
  const [worst] = pauses.sort((a, b) => b.ms - a.ms);
  const gc = worst === undefined ? "none" : `${worst.ms.toFixed(0)} (kind ${worst.kind})`;
  const grown = (peak.rss - base) / MIB;
  const parts = [peak.heapTotal, peak.arrayBuffers].map((bytes) => (bytes / MIB).toFixed(0)).join(", ");
  console.log(
    `| ${name} | ${(ms / 1000).toFixed(1)} | ${grown.toFixed(0)} | ${parts} | ${cpu.toFixed(0)} | ${gc} | ${refusals(outcomes)} |`,
  );
}

await phase("checkpoint", () => vms.map((vm) => vm.checkpoint()));
await phase("checkpoint, none changed", () => vms.map((vm) => vm.checkpoint()));
for (const vm of vms) await python(vm, rename("f", "g"));
await phase("diff", () => vms.map((vm) => vm.diff()));
await phase("export", () => vms.map(drain));
await phase("watch", () => vms.map((vm) => vm.watchFiles("/workspace", { recursive: true })));
for (const vm of vms) await python(vm, rename("g", "h"));
await phase("checkpoint, diff, export and watch", () =>
  vms.flatMap((vm) => [
    vm.checkpoint(),
    vm.diff(),
    drain(vm),
    vm.watchFiles("/workspace", { recursive: true }),
    vm.createSnapshot(),
  ]),
);
await phase("wake", () =>
  vms.map(async (vm, index) => {
    await vm.dispose("sleep");
    vms[index] = await newVm(`vm-${index}`);
    await vms[index]?.exists("/workspace");
  }),
);
await Promise.all(vms.map((vm) => vm.dispose("destroy")));
await stores[Symbol.asyncDispose]();
process.exit(0);
