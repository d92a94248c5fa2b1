// Lets agents compete in forks of one VM and keeps the best result: `npm run example examples/competing-agents/main.ts`.
import { createClient } from "agent-vm/client";
import type { registry } from "agent-vm/server";

const client = createClient<typeof registry>({ endpoint: process.env.ENDPOINT ?? "http://localhost:6420" });
const run = ["contest", crypto.randomUUID()];

// The task: sort.js must sort, with as few comparisons as possible
const base = client.vm.getOrCreate([...run, "base"]);
await base.writeFile(
  "/workspace/judge.js",
  `let comparisons = 0;
  const less = (a, b) => { comparisons += 1; return a < b; };
  const numbers = Array.from({ length: 200 }, (_, index) => (index * 7919) % 1009);
  const sorted = require("./sort.js")([...numbers], less);
  const wanted = [...numbers].sort((a, b) => a - b);
  if (String(sorted) !== String(wanted)) throw new Error("not sorted");
  console.log(comparisons);`,
);

/** The agents. Real ones get the task as a prompt; see session.ts. */
const AGENTS: Record<string, string> = {
  bubbles: `module.exports = (list, less) => {
    for (let end = list.length; end > 1; end--)
      for (let i = 1; i < end; i++) if (less(list[i], list[i - 1])) [list[i], list[i - 1]] = [list[i - 1], list[i]];
    return list;
  };`,
  merger: `const merge = (a, b, less) => {
    const all = [];
    while (a.length > 0 && b.length > 0) all.push(less(b[0], a[0]) ? b.shift() : a.shift());
    return [...all, ...a, ...b];
  };
  module.exports = function sort(list, less) {
    if (list.length < 2) return list;
    const half = list.length >> 1;
    return merge(sort(list.slice(0, half), less), sort(list.slice(half), less), less);
  };`,
  lazy: "module.exports = (list) => list;",
};

/** Lets an agent work in a fork. @returns its comparisons; `Infinity` if its result is wrong */
async function compete(agent: string, solution: string): Promise<number> {
  await base.fork([...run, agent]);
  const vm = client.vm.get([...run, agent]);
  await vm.writeFile("/workspace/sort.js", solution);
  const { exitCode, stdout } = await vm.exec("node judge.js", { cwd: "/workspace", timeout: 30_000 });
  return exitCode === 0 ? Number(stdout) : Number.POSITIVE_INFINITY;
}

const results = await Promise.all(
  Object.entries(AGENTS).map(async ([agent, solution]) => ({ agent, score: await compete(agent, solution) })),
);
results.sort((a, b) => a.score - b.score);
for (const { agent, score } of results)
  console.log(agent, score === Number.POSITIVE_INFINITY ? "wrong" : score);

// The best VM becomes the result. The others go.
const best = results[0]?.agent ?? "";
await client.vm.get([...run, best]).fork([...run, "result"]);
for (const name of ["base", ...Object.keys(AGENTS)]) await client.vm.get([...run, name]).destroy();
const result = client.vm.get([...run, "result"]);
console.log("kept:", (await result.exec("node judge.js", { cwd: "/workspace" })).stdout.trim());
await result.destroy();
await client.dispose();
