import { createClient } from "agent-vm/client";
import type { registry } from "agent-vm/server";

const client = createClient<typeof registry>({ endpoint: process.env.ENDPOINT ?? "http://localhost:6420" });
const agent = client.vm.getOrCreate("my-agent");
const conn = agent.connect();

// Subscribe to every run
const twice = new Promise<void>((resolve) => {
  let completed = 0;
  conn.on("cronEvent", ({ event }) => {
    if (event.type !== "cron:complete") return;
    console.log(`${event.jobId} ended with exit code ${event.exitCode}`);
    if (++completed === 2) resolve();
  });
});

// Run every second, twice
await conn.scheduleCron({
  id: "tick",
  schedule: "* * * * * *",
  action: { type: "exec", command: "echo tick" },
  overlap: "skip",
  maxRuns: 2,
});
// Run on working days at 08:30 in Berlin: wakes the VM, survives a restart of the server
await conn.scheduleCron({
  id: "report",
  schedule: "30 8 * * MON-FRI",
  timezone: "Europe/Berlin",
  action: { type: "exec", command: "date", args: ["--utc"] },
});
await twice;

// Past runs and the next ones
for (const run of await conn.listCronRuns("tick")) console.log(run.status, run.outputTail.trim());
for (const job of await conn.listCronJobs()) {
  console.log(job.id, job.runCount, job.nextRun === null ? "is over" : "goes on");
}
await conn.cancelCronJob("tick");
await conn.cancelCronJob("report");
await conn.dispose();
