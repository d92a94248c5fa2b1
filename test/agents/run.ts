import { BUILT_IN_AGENTS } from "../../src/runtime/sessions/agents/builtin.ts";
import { startModelServer } from "../support/model-server.ts";
import { agentsFolder, install } from "./install.ts";
import { MODEL_HOST } from "./model-host.ts";
import { PROFILES } from "./profiles.ts";
import { secureFront } from "./secure-front.ts";
import { NOT_OFFERED, STEPS } from "./steps.ts";
import { printTable, type Result } from "./table.ts";
import { Trial } from "./trial.ts";

/**
 * `npm run test:agents [NAME ...]`: installs the named agents, or all, and runs each through the same steps with a
 * scripted model. Prints a table of the results. The exit code is 1 if a step has failed.
 */

/** Longer than any step takes on a slow machine. */
const STEP_TIMEOUT_MS = 90_000;

const names = process.argv.slice(2);
const unknown = names.find((name) => !BUILT_IN_AGENTS.some((agent) => agent.name === name));
if (unknown !== undefined) throw new Error(`Unknown agent: ${unknown}`);
const agents = BUILT_IN_AGENTS.filter(({ name }) => names.length === 0 || names.includes(name));

const folder = await agentsFolder();
const results: Result[] = [];
try {
  for (const agent of agents) {
    const start = performance.now();
    const from = await install(folder.path, agent);
    console.log(`${agent.name}: installed in ${seconds(performance.now() - start)}`);
    results.push(...(await tryAgent(agent.name, from)));
  }
} finally {
  await folder.drop();
}
printTable(results);
const failed = results.filter(({ failure }) => failure !== undefined);
for (const { agent, step, failure } of failed) console.error(`\n${agent}, ${step}: ${failure}`);
console.log(`${results.length - failed.length} passed, ${failed.length} failed`);
process.exitCode = failed.length > 0 ? 1 : 0;

async function tryAgent(agent: string, from: string): Promise<Result[]> {
  const models = await startModelServer();
  const secure = await secureFront(MODEL_HOST, models.port);
  const trial = new Trial({ agent, from, profile: PROFILES[agent]!, models, secure });
  const found: Result[] = [];
  try {
    await trial.start();
    for (const { name: step, run } of STEPS) {
      const start = performance.now();
      const timeout = deadline(step);
      try {
        const outcome = await Promise.race([run(trial), timeout.reached]);
        const ms = performance.now() - start;
        const isOffered = outcome !== NOT_OFFERED;
        found.push({
          agent,
          step,
          ms,
          isOffered,
          note: isOffered ? (outcome as string | undefined) : undefined,
        });
        console.log(
          `  ${isOffered ? "ok" : "- "} ${step} ${seconds(ms)} ${isOffered ? String(outcome ?? "") : ""}`,
        );
      } catch (error) {
        const failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
        found.push({ agent, step, ms: performance.now() - start, isOffered: true, note: undefined, failure });
        console.log(`  FAILED ${step}: ${failure}`);
        // The later steps depend on this one.
        break;
      } finally {
        timeout.clear();
      }
    }
  } finally {
    await trial.stop();
    await secure.close();
    await models.close();
  }
  return found;
}

function deadline(step: string): { reached: Promise<never>; clear(): void } {
  let timer: NodeJS.Timeout | undefined;
  const reached = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${step} took more than ${seconds(STEP_TIMEOUT_MS)}`)),
      STEP_TIMEOUT_MS,
    );
  });
  return { reached, clear: () => clearTimeout(timer) };
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
