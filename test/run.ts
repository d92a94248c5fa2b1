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
/** Commands so far. Each has a file with the command lines of processes that outlived it. */
let commands = 0;
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
/** Programs run beside the tests. */
const PROGRAM_TIMEOUT_MS = 1_200_000;
/** More files than this fail for a reason that a second run does not change. */
const REPEATED_FILES = 12;
/** Files that a run names as its longest, and as those with most CPU time. */
const NAMED_FILES = 10;
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
  if (selection.length === 0) await run([join(here, "support", "run", "warm.ts")]);
  const programs = suite.hasPrograms && selection.length === 0 ? runPrograms() : Promise.resolve([]);
  const outcomes = [...(await runVitest(programs)), ...(await withSecondRuns(await programs))];
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

/**
 * Runs the tests. Of a whole suite, files that fail run once more, alone: the machine may have been too busy for them.
 *
 * @param beside work that runs beside the tests
 */
async function runVitest(beside: Promise<unknown>): Promise<Counts[]> {
  if (selection.length > 0) return Object.values(await vitest(selection));
  const filter = suite!.tagsFilter === undefined ? [] : [`--tags-filter=${suite!.tagsFilter}`];
  const first = await vitest([...filesOf(suite!), ...filter]);
  printMost("longest", first, ({ ms }) => ms);
  printMost("most CPU time", first, ({ cpuMs }) => cpuMs);
  const failed = Object.keys(first).filter((path) => first[path]!.failed > 0);
  if (failed.length === 0 || failed.length > REPEATED_FILES || failed.includes(""))
    return Object.values(first);
  await beside;
  console.log(`Run once more, alone: ${failed.join(", ")}`);
  const second = await vitest(["--no-file-parallelism", ...failed, ...filter]);
  unstable.push(...failed.filter((path) => second[path]?.failed === 0));
  return Object.values({ ...first, ...second });
}

/** Prints the files that have most of something. In milliseconds. */
function printMost(title: string, files: Report, of: (file: Report[string]) => number): void {
  const sorted = Object.entries(files).sort(([, one], [, other]) => of(other) - of(one));
  for (const [path, file] of sorted.slice(0, NAMED_FILES))
    console.log(`${title}: ${(of(file) / 1000).toFixed(1)} s ${path}`);
}

async function vitest(selected: readonly string[]): Promise<Report> {
  rmSync(report, { force: true });
  const script = join(here, "..", "node_modules", "vitest", "vitest.mjs");
  const reporters = ["--reporter=default", `--reporter=${join(here, "support", "run", "reporter.ts")}`];
  const code = await run([script, "run", "--configLoader=runner", ...reporters, ...selected]);
  const files = existsSync(report) ? (JSON.parse(readFileSync(report, "utf8")) as Report) : {};
  // A run that crashed has written no report.
  if (code !== 0 && Object.values(files).every(({ failed }) => failed === 0))
    files[""] = { passed: 0, failed: 1, skipped: [], ms: 0, cpuMs: 0 };
  return files;
}

interface ProgramEnd {
  program: string;
  names: readonly string[];
  counts: Counts;
}

/** Runs the programs one after the other. Much of their time is a wait for registries and for servers that start. */
async function runPrograms(): Promise<ProgramEnd[]> {
  const ends: ProgramEnd[] = [];
  for (const [program, ...names] of PROGRAMS)
    ends.push({ program, names, counts: await runProgram(program, names) });
  return ends;
}

/** Runs programs in which something has failed once more, alone. */
async function withSecondRuns(ends: readonly ProgramEnd[]): Promise<Counts[]> {
  const all: Counts[] = [];
  for (const { program, names, counts } of ends) {
    if (counts.failed > 0) console.log(`Run once more, alone: ${program}`);
    const last = counts.failed > 0 ? await runProgram(program, names) : counts;
    if (counts.failed > 0 && last.failed === 0) unstable.push(program);
    all.push(last);
  }
  return all;
}

/** Runs a program whose last line has its counts, and prints its output. */
async function runProgram(program: string, names: readonly string[]): Promise<Counts> {
  let output = "";
  const code = await run([join(here, program), ...names], {
    timeoutMs: PROGRAM_TIMEOUT_MS,
    onOutput: (text) => {
      output += text;
    },
  });
  // Lines of tests that run meanwhile would be in between.
  process.stdout.write(output);
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
  commands += 1;
  const left = join(scratch, `left-${commands}`);
  const [program, ...rest] = hasPerl ? ["perl", "-e", REAPER, left, ...command] : command;
  const child = spawn(program as string, rest as string[], {
    stdio: ["inherit", onOutput === undefined ? "inherit" : "pipe", "inherit"],
    env: { ...process.env, TMPDIR: temporary, NODE_COMPILE_CACHE: compiled, [REPORT_VARIABLE]: report },
    ...(timeoutMs !== undefined && { timeout: timeoutMs }),
  });
  child.stdout?.setEncoding("utf8").on("data", (text: string) => onOutput?.(text));
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
