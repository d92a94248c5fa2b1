import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { terminal } from "../../src/client/index.ts";
import type { VmConnection } from "../../src/client/types.ts";

/** Something that people do on a machine, with an outcome that shows that it works. */
export interface Workload {
  name: string;
  /** Shell line that prints the version of the program, and fails if the host lacks it. */
  version: string;
  /** Debian's packages of the program. Empty if every host of a VM has it, or if npm installs it. */
  packages: readonly string[];
  /** Installs packages of npm, and so needs their registry. */
  needsRegistry?: boolean;
  /** For the document: the steps, and the outcome that is checked. */
  tried: string;
  /** For the document: the parts that do not work, or need a setting. */
  limits?: string;
  /** Fails if the outcome is wrong. */
  run(vm: VmConnection): Promise<void>;
}

/** Milliseconds that one command of a workload may take on a slow machine. */
const LINE_TIMEOUT_MS = 480_000;

/** Milliseconds in which a server starts, and answers. */
const PAGE_TIMEOUT_MS = 150_000;

/** Runs a shell line in /workspace. @returns stdout, trimmed */
export async function exec(vm: VmConnection, line: string): Promise<string> {
  const result = await vm.exec(line, { cwd: "/workspace", timeout: LINE_TIMEOUT_MS });
  const output = `${result.stdout}\n${result.stderr}`.trim().slice(-3000);
  assert.equal(result.exitCode, 0, `exit code ${result.exitCode} (${result.reason}): ${output}`);
  return result.stdout.trim();
}

/** Runs a shell line whose stdout must be a text, or match. */
export function prints(line: string, expected: string | RegExp): Workload["run"] {
  return async (vm) => {
    const stdout = await exec(vm, line);
    if (typeof expected === "string") assert.equal(stdout, expected);
    else assert.match(stdout, expected);
  };
}

/** Requests a page of a server in the VM. @returns its text */
export async function page(vm: VmConnection, port: number, path = "/"): Promise<string> {
  await vm.waitForPort(port, { timeoutMs: PAGE_TIMEOUT_MS });
  const { status, body } = await vm.vmFetch(port, path, { timeoutMs: PAGE_TIMEOUT_MS });
  const text = new TextDecoder().decode(body);
  assert.equal(status, 200, text.slice(0, 2000));
  return text;
}

/** Types keys into a program on a terminal: each after its text has appeared. */
export function types(
  command: readonly [string, ...string[]],
  steps: readonly [seen: string | RegExp, keys: string][],
  check: Workload["run"] = async () => undefined,
): Workload["run"] {
  return async (vm) => {
    const decoder = new TextDecoder();
    let screen = "";
    const [program, ...args] = command;
    await using shell = await terminal(vm, {
      ...{ command: program, args, cwd: "/workspace", cols: 100, rows: 30 },
      onData: (data) => {
        screen += decoder.decode(data, { stream: true });
      },
    });
    for (const [seen, keys] of steps) {
      const deadline = Date.now() + 30_000;
      while (!(typeof seen === "string" ? screen.includes(seen) : seen.test(screen))) {
        assert.ok(Date.now() < deadline, `${seen} did not appear on: ${JSON.stringify(screen.slice(-2000))}`);
        await pause(50);
      }
      screen = "";
      await shell.write(keys);
    }
    assert.equal(await shell.exited, 0);
    await check(vm);
  };
}
