// Grades 200 answers of a model, each in a fork of one prepared VM: `npm run example examples/evaluation/main.ts`.
import { createClient } from "agent-vm/client";
import type { registry } from "agent-vm/server";

const TASKS = Number(process.env.TASKS ?? 200);
/** VMs at a time. */
const PARALLEL = 8;

const client = createClient<typeof registry>({ endpoint: process.env.ENDPOINT ?? "http://localhost:6420" });
const run = crypto.randomUUID();

// Everything that all tasks need is installed once
const base = client.vm.getOrCreate(["evaluation", run, "base"]);
await base.writeFile("/home/agentos/check.sh", '[ "$(bash solution.sh "$1")" = "$2" ]\n');

/** The model under test. It gets every fifth task wrong. */
const solutionOf = (task: number) => (task % 5 === 4 ? "echo 0" : 'echo "$(($1 * $1))"');

async function grade(task: number): Promise<boolean> {
  const key = ["evaluation", run, String(task)];
  await base.fork(key);
  const vm = client.vm.get(key);
  try {
    await vm.writeFile("/home/agentos/solution.sh", solutionOf(task));
    const input = task + 2;
    const { exitCode } = await vm.exec(`bash check.sh ${input} ${input * input}`, { timeout: 60_000 });
    return exitCode === 0;
  } finally {
    await vm.destroy();
  }
}

const passed: number[] = [];
const waiting = [...Array(TASKS).keys()];
const worker = async () => {
  for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) {
    if (await grade(task)) passed.push(task);
  }
};
await Promise.all(Array.from({ length: PARALLEL }, worker));
await base.destroy();
console.log(`${passed.length} of ${TASKS} passed`);
await client.dispose();
