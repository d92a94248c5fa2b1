import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient, type VmHandle } from "../src/client/index.ts";
import { listen, setup, vmActor } from "../src/index.ts";
import { freePort } from "../test/support/free-port.ts";
import { measure } from "./loop.ts";

/** `npm run bench:cron`: delays of many jobs that are due in the same instant, and of the event loop. */
const dataDir = mkdtempSync(join(tmpdir(), "agent-vm-bench-"));
const registry = setup({ use: { vm: vmActor({ sleepTimeoutMs: 1_000 }) }, port: await freePort(), dataDir });
const { endpoint, close } = await listen(registry);
const client = createClient<typeof registry>({ endpoint });

/** Time for all jobs to be scheduled and for the VMs to fall asleep again, in milliseconds. */
const LEAD_MS = 12_000;

/** Time to measure the event loop, in milliseconds. */
const WATCH_MS = 1_500;

/** Time for all jobs to run, in milliseconds. */
const RUN_MS = 8_000;

async function fire(name: string, vmCount: number, jobsPerVm: number, awake: boolean): Promise<void> {
  const vms: VmHandle[] = Array.from({ length: vmCount }, (_, index) =>
    client.vm.getOrCreate(`${name} ${index}`),
  );
  // A connection keeps its VM awake.
  const connections = awake ? vms.map((vm) => vm.connect()) : [];
  for (const connection of connections) await connection.exec("true");
  const at = Math.ceil((Date.now() + LEAD_MS) / 1000) * 1000;
  const schedule = new Date(at).toISOString();
  for (const vm of vms) {
    const action = { type: "exec", command: "echo hello" } as const;
    await Promise.all(Array.from({ length: jobsPerVm }, () => vm.scheduleCron({ schedule, action })));
  }
  await until(at - 100);
  const { delay, held } = await measure(() => until(at + WATCH_MS));
  await until(at + RUN_MS);
  await Promise.all(connections.map((connection) => connection.dispose()));
  const runs = (await Promise.all(vms.map((vm) => vm.listCronRuns(undefined, { limit: 1000 })))).flat();
  const fired = runs.map(({ startedAt }) => (startedAt ?? Number.NaN) - at).sort((a, b) => a - b);
  const ended = runs.map(({ startedAt, durationMs }) => (startedAt ?? 0) + (durationMs ?? 0) - at);
  const completed = runs.filter(({ status }) => status === "completed").length;
  console.log(
    `${name}: ${completed} of ${vmCount * jobsPerVm} completed, ` +
      `fired after ${fired.at(fired.length / 2)} ms (median), ${fired.at(-1)} ms (last), ` +
      `the last had ended after ${Math.max(...ended)} ms; ` +
      `event loop delay p99 ${delay.toFixed(1)} ms, max ${held.toFixed(1)} ms`,
  );
}

async function until(time: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, time - Date.now()));
}

await fire("200 jobs of one VM", 1, 200, false);
await fire("50 awake VMs with 5 jobs each", 50, 5, true);
await fire("50 sleeping VMs with 5 jobs each", 50, 5, false);
await client.dispose();
await close();
rmSync(dataDir, { recursive: true, force: true });
process.exit(0);
