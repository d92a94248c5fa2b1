import { once } from "node:events";
import { rm } from "node:fs/promises";
import { createClient } from "../../src/client/index.ts";
import type { VmConnection } from "../../src/client/types.ts";
import { startServerProcess } from "../support/server-process.ts";
import { type Result, writeDocument } from "./document.ts";
import { JAVASCRIPT } from "./javascript.ts";
import { LANGUAGES } from "./languages.ts";
import { startPackages } from "./packages.ts";
import { PYTHON } from "./python.ts";
import { registryHost } from "./registry.ts";
import type { registry } from "./server.ts";
import { SERVICES } from "./services.ts";
import { TOOLS } from "./tools.ts";
import type { Workload } from "./workload.ts";

/**
 * `npm run test:workloads -- [--write] [NAME ...]`: starts a server, and runs the workloads that have a NAME among their words, or
 * all, in a fresh VM each. `--write` puts the outcomes into docs/workloads.md. `--packages` prints Debian's packages of
 * all workloads and runs none. The exit code is 1 if a workload has failed.
 */
const SERVER = new URL("./server.ts", import.meta.url).pathname;

const WORKLOADS = [...PYTHON, ...LANGUAGES, ...JAVASCRIPT, ...SERVICES, ...TOOLS];

/** Longer than any workload takes on a slow machine. */
const WORKLOAD_TIMEOUT_MS = 600_000;

const options = process.argv.slice(2);
const names = options.filter((option) => !option.startsWith("--")).map((name) => name.toLowerCase());
if (options.includes("--packages")) {
  console.log([...new Set(WORKLOADS.flatMap(({ packages }) => packages))].sort().join(" "));
} else {
  const chosen = WORKLOADS.filter(
    ({ name }) => names.length === 0 || wordsOf(name).some((word) => names.includes(word)),
  );
  if (chosen.length === 0)
    throw new Error(`No workload has one of the words ${names.join(", ")} in its name`);
  const results = await tryAll(chosen);
  if (options.includes("--write")) writeDocument(WORKLOADS, results);
  const count = (outcome: Result["outcome"]) => results.filter((result) => result.outcome === outcome).length;
  console.log(`${count("passed")} passed, ${count("failed")} failed, ${count("skipped")} skipped`);
  process.exitCode = count("failed") > 0 ? 1 : 0;
}

function wordsOf(name: string): string[] {
  return name.toLowerCase().split(/[^a-z0-9.#]+/);
}

async function tryAll(workloads: readonly Workload[]): Promise<Result[]> {
  const host = await registryHost();
  const packages = await startPackages();
  const server = await startServerProcess({
    program: SERVER,
    env: {
      LOG_LEVEL: "error",
      PACKAGES_PORT: String(packages.port),
      ...(host !== undefined && { REGISTRY: host }),
    },
  });
  const client = createClient<typeof registry>({ endpoint: server.endpoint });
  const results: Result[] = [];
  try {
    for (const workload of workloads) {
      const start = performance.now();
      const handle = client.vm.getOrCreate(["workload", workload.name]);
      const vm = handle.connect();
      const result = await tryOne(vm, workload, host !== undefined);
      await vm.dispose();
      await handle.destroy();
      results.push({ name: workload.name, ...result });
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      console.log(`${result.outcome} ${workload.name}, ${seconds} s: ${result.detail}`);
    }
  } finally {
    packages.close();
    await client.dispose();
    server.process.kill("SIGTERM");
    await server.exited;
    await rm(server.dataDir, { recursive: true, force: true });
  }
  return results;
}

async function tryOne(
  vm: VmConnection,
  { version, packages, needsRegistry, run }: Workload,
  hasRegistry: boolean,
): Promise<Omit<Result, "name">> {
  if (needsRegistry && !hasRegistry)
    return { outcome: "skipped", detail: "the registry of npm packages is not reachable" };
  const timer = new AbortController();
  try {
    const found = await vm.exec(version, { cwd: "/tmp", timeout: 60_000 });
    if (found.exitCode !== 0)
      return { outcome: "skipped", detail: `not on this host. Debian's packages: ${packages.join(" ")}` };
    const late = once(AbortSignal.any([timer.signal, AbortSignal.timeout(WORKLOAD_TIMEOUT_MS)]), "abort");
    await Promise.race([
      run(vm),
      late.then(() => Promise.reject(new Error(`took more than ${WORKLOAD_TIMEOUT_MS} ms`))),
    ]);
    return { outcome: "passed", detail: found.stdout.trim().replaceAll("\n", "; ") };
  } catch (error) {
    return { outcome: "failed", detail: error instanceof Error ? error.message : String(error) };
  } finally {
    timer.abort();
  }
}
