import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Counts, line, sum } from "./support/run/counts.ts";
import { findLeaks, leftOnMachine } from "./support/run/leaks.ts";
import { REAPER } from "./support/run/reaper.ts";
import { REPORT_VARIABLE } from "./support/run/reporter.ts";
import { filesOf, SUITES } from "./support/run/suites.ts";

/**
 * `node test/run.ts SUITE [VITEST ARGUMENT ...]`: runs a suite, or with arguments the tests that they select, and looks
 * for processes, files, mounts and cgroups that the tests have left. The last line says `N passed, N failed`.
 */
const [name = "quick", ...selection] = process.argv.slice(2);
const suite = SUITES[name];
if (suite === undefined)
  throw new Error(`No suite is called ${name}. Suites: ${Object.keys(SUITES).join(", ")}`);

const here = import.meta.dirname;
/** Folder of this run. Its path is short, because the paths of Unix sockets below it must fit into 107 bytes. */
const scratch = mkdtempSync(join(tmpdir(), "agent-vm-run-"));
const temporary = join(scratch, "t");
const report = join(scratch, "report.json");
/** Compile cache. It halves the start time of the servers that tests run as programs. */
const compiled = join(here, "..", "node_modules", ".cache", "agent-vm-tests");
/** File with the command lines of processes that outlived their run. */
const left = join(scratch, "left");
const hasPerl = spawnSync("perl", ["-e", "1"]).status === 0;
/** Two coding agents, one in Node and one native, and workloads that the filter of system calls could break. */
const WORKLOADS = [
  "go",
  "rust",
  "java",
  "pytest",
  "jupyter",
  "vite",
  "postgresql",
  "redis",
  "chromium",
  "gdb",
];
const PROGRAMS: readonly [program: string, ...names: string[]][] = [
  ["agents/run.ts", "codex", "pi"],
  ["workloads/run.ts", ...WORKLOADS],
];
const PROGRAM_TIMEOUT_MS = 600_000;
const leaks: string[] = [];
const before = leftOnMachine();

// The users of VMs must be able to pass through both folders.
chmodSync(scratch, 0o755);
mkdirSync(temporary);
chmodSync(temporary, 0o1777);
try {
  if (selection.length === 0) console.log(suite.about);
  const outcomes = [await runVitest()];
  if (suite.hasPrograms && selection.length === 0)
    for (const [program, ...names] of PROGRAMS) outcomes.push(await runProgram(program, names));
  leaks.push(...(await findLeaks(temporary, before)));
  for (const leak of leaks) console.error(`The tests left behind: ${leak}`);
  const total = sum([...outcomes, { passed: 0, failed: leaks.length, skipped: [] }]);
  for (const skipped of total.skipped) console.log(`skipped: ${skipped}`);
  console.log(line(total));
  process.exitCode = total.failed > 0 ? 1 : 0;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

async function runVitest(): Promise<Counts> {
  const vitest = join(here, "..", "node_modules", "vitest", "vitest.mjs");
  const reporters = ["--reporter=default", `--reporter=${join(here, "support", "run", "reporter.ts")}`];
  const selected =
    selection.length > 0
      ? selection
      : [
          ...filesOf(suite!),
          ...(suite!.tagsFilter === undefined ? [] : [`--tags-filter=${suite!.tagsFilter}`]),
        ];
  const code = await run([vitest, "run", "--configLoader=runner", ...reporters, ...selected]);
  const counts = existsSync(report)
    ? (JSON.parse(readFileSync(report, "utf8")) as Counts)
    : { passed: 0, failed: 0, skipped: [] };
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  return counts;
}

/** Runs a program whose last line has its counts. */
async function runProgram(program: string, names: readonly string[]): Promise<Counts> {
  let output = "";
  const code = await run([join(here, program), ...names], {
    timeoutMs: PROGRAM_TIMEOUT_MS,
    onOutput: (text) => {
      output += text;
    },
  });
  const counts = /^(\d+) passed, (\d+) failed/m.exec(output);
  const failed = Number(counts?.[2] ?? 0);
  const skipped = [...output.matchAll(/^skipped (.*)$/gm)].map(([, text]) => text as string);
  return { passed: Number(counts?.[1] ?? 0), failed: code === 0 ? failed : Math.max(1, failed), skipped };
}

/** Runs a Node program and records the processes that it leaves. @returns its exit code */
async function run(
  args: string[],
  { timeoutMs, onOutput }: { timeoutMs?: number; onOutput?: (text: string) => void } = {},
): Promise<number | null> {
  const command = [process.execPath, ...args];
  const [program, ...rest] = hasPerl ? ["perl", "-e", REAPER, left, ...command] : command;
  const child = spawn(program as string, rest as string[], {
    stdio: ["inherit", onOutput === undefined ? "inherit" : "pipe", "inherit"],
    env: { ...process.env, TMPDIR: temporary, NODE_COMPILE_CACHE: compiled, [REPORT_VARIABLE]: report },
    ...(timeoutMs !== undefined && { timeout: timeoutMs }),
  });
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    process.stdout.write(text);
    onOutput?.(text);
  });
  const forward = (signal: NodeJS.Signals) => child.kill(signal);
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, forward);
  const [code] = (await once(child, "close")) as [number | null];
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, forward);
  if (existsSync(left)) {
    const lines = readFileSync(left, "utf8").split("\n").filter(Boolean);
    leaks.push(...lines.map((process) => `process ${process}`));
  }
  return code;
}
