// Runs the jobs of a repository, each in a fork of one checkout: `npm run example examples/ci-runner/main.ts`.
import { createClient } from "agent-vm/client";
import type { registry } from "agent-vm/server";

const client = createClient<typeof registry>({ endpoint: process.env.ENDPOINT ?? "http://localhost:6420" });
const run = ["ci", crypto.randomUUID()];

interface Job {
  name: string;
  steps: string[];
  timeoutMinutes?: number;
  /** File that is kept if the job passes. */
  artifact?: string;
}

interface Outcome {
  name: string;
  state: "passed" | "failed" | "timed out";
  log: string;
  artifact?: Uint8Array;
}

// The checkout: a real runner clones here, with a network policy that allows its code host
const checkout = client.vm.getOrCreate([...run, "checkout"]);
await checkout.writeFiles([
  { path: "/workspace/sum.js", content: "module.exports = (a, b) => a + b;\n" },
  {
    path: "/workspace/sum.test.js",
    content: 'require("node:assert").equal(require("./sum.js")(1, 2), 3);\n',
  },
  {
    path: "/workspace/ci.json",
    content: JSON.stringify([
      { name: "test", steps: ["node sum.test.js", "echo all tests passed"] },
      { name: "lint", steps: ["grep -n 'use strict' sum.js"] },
      { name: "build", steps: ["mkdir out", "cat sum.js > out/bundle.js"], artifact: "out/bundle.js" },
      { name: "hang", steps: ["sleep 1000"], timeoutMinutes: 0.02 },
    ]),
  },
]);
const jobs = JSON.parse(new TextDecoder().decode(await checkout.readFile("/workspace/ci.json"))) as Job[];

async function runJob({ name, steps, timeoutMinutes = 10, artifact }: Job): Promise<Outcome> {
  const key = [...run, name];
  await checkout.fork(key);
  const vm = client.vm.get(key);
  const deadline = Date.now() + timeoutMinutes * 60_000;
  let log = "";
  try {
    for (const step of steps) {
      const timeout = Math.max(1, Math.round(deadline - Date.now()));
      const { exitCode, stdout, stderr, timedOut } = await vm.exec(step, { cwd: "/workspace", timeout });
      log += `$ ${step}\n${stdout}${stderr}`;
      if (timedOut) return { name, state: "timed out", log };
      if (exitCode !== 0) return { name, state: "failed", log };
    }
    if (artifact === undefined) return { name, state: "passed", log };
    return { name, state: "passed", log, artifact: await vm.readFile(`/workspace/${artifact}`) };
  } finally {
    await vm.destroy();
  }
}

for (const { name, state, log, artifact } of await Promise.all(jobs.map(runJob))) {
  console.log(
    `${name}: ${state}${artifact === undefined ? "" : ` (artifact of ${artifact.byteLength} bytes)`}`,
  );
  console.log(log.replace(/^(?=.)/gm, "  ").trimEnd());
}
await checkout.destroy();
await client.dispose();
