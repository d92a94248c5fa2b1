// @module-tag slow
import { expect, onTestFinished, test } from "vitest";
import type { CronEvent } from "../../src/api/events.ts";
import type { CronRun } from "../../src/api/methods/cron-types.ts";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { marked } from "../support/marked.ts";
import { startTestServer } from "../support/servers.ts";
import { testFolder } from "../support/temporary-folder.ts";

/** Starts a server on the data of earlier servers, with a client that has not called it yet. */
async function restart(dataDir: string) {
  const server = await startTestServer({ kind: "kernel", process: true, dataDir });
  const client = createClient<typeof registry>({ endpoint: server.endpoint });
  onTestFinished(async () => {
    await client.dispose();
    await server.stop("SIGKILL");
  });
  return {
    vm: client.vm.getOrCreate("one"),
    async kill() {
      await server.stop("SIGKILL");
      await client.dispose();
    },
  };
}

/** Returns the seconds without a tick, from the first tick up to a time. */
function holes(ticks: readonly number[], until: number): number[] {
  const [first = until] = ticks;
  const seconds = Array.from({ length: (until - first) / 1000 + 1 }, (_, index) => first + index * 1000);
  return seconds.filter((second) => !ticks.includes(second));
}

test("twenty kills (-9) during runs lose no promised tick and repeat none, and the history is true", {
  tags: ["slow"],
}, async () => {
  const dataDir = testFolder();
  const cut = new Set<string>();
  let first = await restart(dataDir);
  for (const catchUp of ["all", "once"] as const) {
    await first.vm.scheduleCron({
      id: catchUp,
      schedule: "* * * * * *",
      catchUp,
      overlap: "skip",
      action: { type: "exec", command: "sleep 0.2" },
    });
  }
  for (let round = 0; round < 20; round++) {
    // Every other server dies before a client calls it, while it wakes the VM or catches up.
    if (round % 2 === 1) await new Promise((resolve) => setTimeout(resolve, round * 15));
    else {
      const conn = first.vm.connect();
      const fired = await new Promise<CronEvent>((resolve) => {
        conn.on("cronEvent", ({ event }) => event.type === "cron:fire" && resolve(event));
      });
      cut.add(fired.runId);
    }
    await first.kill();
    first = await restart(dataDir);
  }

  const { vm } = first;
  const until = Math.floor(Date.now() / 1000) * 1000;
  const all = async () => (await vm.listCronRuns("all", { limit: 1000 })).reverse();
  const ticksOf = (runs: CronRun[]) => runs.map(({ scheduledAt }) => scheduledAt).sort((a, b) => a - b);
  // Every second from the first tick to now has exactly one run.
  await expect.poll(async () => holes(ticksOf(await all()), until), { interval: 200 }).toEqual([]);
  await vm.pauseCronJob("all");
  await vm.pauseCronJob("once");
  await expect.poll(async () => (await vm.listCronJobs()).some(({ running }) => running)).toBe(false);
  const runs = await all();
  expect(new Set(ticksOf(runs)).size).toBe(runs.length);
  const once = await vm.listCronRuns("once", { limit: 1000 });
  const ran = ticksOf(once.filter(({ status }) => status !== "missed"));
  expect(new Set(ran).size).toBe(ran.length);

  for (const run of [...runs, ...once]) {
    if (cut.has(run.runId)) expect(run).toMatchObject({ status: "failed", reason: "vm_stopped" });
    expect(["completed", "failed", "skipped", "missed"]).toContain(run.status);
    if (run.status === "failed") expect(run).toMatchObject({ reason: "vm_stopped", attempt: 1 });
    if (run.status === "completed") expect(run).toMatchObject({ exitCode: 0 });
  }
  expect(cut.size).toBe(10);
});

test("a job runs after kill -9 and a restart, without any client", async () => {
  const dataDir = testFolder();
  const mark = String(300_000 + (process.pid % 100_000));
  const before = await restart(dataDir);
  await before.vm.scheduleCron({
    schedule: new Date(Date.now() + 3_000).toISOString(),
    action: { type: "exec", command: "sleep", args: [mark] },
  });
  await before.kill();
  const after = await restart(dataDir);
  await expect.poll(() => marked(mark).length).toBeGreaterThan(0);
  await after.kill();
  await expect.poll(() => marked(mark)).toEqual([]);
  const last = await restart(dataDir);
  expect(await last.vm.listCronRuns()).toMatchObject([{ status: "failed", reason: "vm_stopped" }]);
});
