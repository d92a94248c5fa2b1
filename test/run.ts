import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Counts, line, sum } from "./support/run/counts.ts";
import { findLeaks, leftOnMachine } from "./support/run/leaks.ts";
import { REAPER } from "./support/run/reaper.ts";
import { REPORT_VARIABLE, type Report } from "./support/run/reporter.ts";
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
/** More files than this fail for a reason that a second run does not change. */
const REPEATED_FILES = 5;
/** Files that a run names as its longest. */
const LONGEST_FILES = 10;
/** Files that failed beside others and passed alone. */
const unstable: string[] = [];
const leaks: string[] = [];
const before = leftOnMachine();

// The users of VMs must be able to pass through both folders.
chmodSync(scratch, 0o755);
mkdirSync(temporary);
chmodSync(temporary, 0o1777);
try {
  if (selection.length === 0) console.log(suite.about);
  const outcomes = await runVitest();
  if (suite.hasPrograms && selection.length === 0)
    for (const [program, ...names] of PROGRAMS) outcomes.push(await runProgramTwice(program, names));
  leaks.push(...(await findLeaks(temporary, before)));
  for (const leak of leaks) console.error(`The tests left behind: ${leak}`);
  // A test that fails may leave something.
  const counted = unstable.length > 0 ? 0 : leaks.length;
  const total = sum([...outcomes, { passed: 0, failed: counted, skipped: [] }]);
  for (const skipped of total.skipped) console.log(`skipped: ${skipped}`);
  for (const path of unstable)
    console.log(`unstable: ${path} failed and passed the second time, alone, which is a bug to be found`);
  console.log(line(total));
  process.exitCode = total.failed > 0 ? 1 : 0;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/** Runs the tests. Of a whole suite, files that fail run once more, alone: the machine may have been too busy for them. */
async function runVitest(): Promise<Counts[]> {
  if (selection.length > 0) return Object.values(await vitest(selection));
  const filter = suite!.tagsFilter === undefined ? [] : [`--tags-filter=${suite!.tagsFilter}`];
  const first = await vitest([...filesOf(suite!), ...filter]);
  const byTime = Object.entries(first).sort(([, one], [, other]) => other.ms - one.ms);
  for (const [path, { ms }] of byTime.slice(0, LONGEST_FILES))
    console.log(`longest: ${(ms / 1000).toFixed(1)} s ${path}`);
  const failed = Object.keys(first).filter((path) => first[path]!.failed > 0);
  if (failed.length === 0 || failed.length > REPEATED_FILES || failed.includes(""))
    return Object.values(first);
  console.log(`Run once more, alone: ${failed.join(", ")}`);
  const second = await vitest(["--no-file-parallelism", ...failed, ...filter]);
  unstable.push(...failed.filter((path) => second[path]?.failed === 0));
  return Object.values({ ...first, ...second });
}

async function vitest(selected: readonly string[]): Promise<Report> {
  rmSync(report, { force: true });
  const script = join(here, "..", "node_modules", "vitest", "vitest.mjs");
  const reporters = ["--reporter=default", `--reporter=${join(here, "support", "run", "reporter.ts")}`];
  const code = await run([script, "run", "--configLoader=runner", ...reporters, ...selected]);
  const files = existsSync(report) ? (JSON.parse(readFileSync(report, "utf8")) as Report) : {};
  // A run that crashed has written no report.
  if (code !== 0 && Object.values(files).every(({ failed }) => failed === 0))
    files[""] = { passed: 0, failed: 1, skipped: [], ms: 0 };
  return files;
}

/** Runs a program, and once more if something in it fails. */
async function runProgramTwice(program: string, names: readonly string[]): Promise<Counts> {
  const first = await runProgram(program, names);
  if (first.failed === 0) return first;
  console.log(`Run once more: ${program}`);
  const second = await runProgram(program, names);
  if (second.failed === 0) unstable.push(program);
  return second;
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
