// @module-tag any-user
import { expect, test } from "vitest";
import {
  MAX_LISTED_ARGUMENTS,
  MAX_LISTED_BYTES,
  MAX_PROCESS_ARGUMENTS,
  MAX_PROCESS_ARGUMENTS_BYTES,
} from "../../../src/runtime/sandbox/kernel/limits.ts";
import { startVm } from "../../support/vm.ts";

/** Starts processes with arguments, and waits until the list shows the arguments. */
async function withArguments(count: number, expression: string) {
  const { vm, outputHas } = startVm();
  const program = `
import os, sys, time
args = ["python3", "-c", "print('ready', flush=True); import time; time.sleep(1000)"] + ${expression}
for _ in range(${count}):
  if os.fork() == 0: os.execvp("python3", args)
time.sleep(1000)
`;
  const { pid } = await vm.spawn("python3", ["-c", program]);
  await outputHas(pid, "ready\n".repeat(count));
  return { vm, pid, children: (await vm.allProcesses()).filter(({ ppid }) => ppid === pid) };
}

test("allProcesses lists arguments verbatim", async () => {
  const { children } = await withArguments(1, '["", "two words", "é", ""]');
  expect(children[0]?.args.slice(3)).toEqual(["", "two words", "é", ""]);
});

test("allProcesses lists the first of very many arguments", { tags: ["slow"] }, async () => {
  const { vm, pid, children } = await withArguments(12, '[""] * 110000');
  expect(children.map(({ args }) => args.length).slice(0, 7)).toEqual(Array(7).fill(MAX_PROCESS_ARGUMENTS));
  expect(children.length).toBe(12);
  const listed = (await vm.allProcesses()).reduce((sum, { args }) => sum + args.length, 0);
  expect(listed).toBe(MAX_LISTED_ARGUMENTS);
  const forest = JSON.stringify(await vm.processTree());
  expect(forest).toContain(`"pid":${pid}`);
});

test("allProcesses lists the beginning of very long arguments", { tags: ["slow"] }, async () => {
  const { children } = await withArguments(40, '["x" * 100000] * 3');
  expect(children.length).toBe(40);
  const sizes = children.map(({ args }) => Buffer.byteLength(args.join("\0")));
  expect(Math.max(...sizes)).toBe(MAX_PROCESS_ARGUMENTS_BYTES);
  const all = sizes.reduce((sum, size) => sum + size, 0);
  expect(all).toBeLessThanOrEqual(MAX_LISTED_BYTES);
  expect(all).toBeGreaterThan(MAX_LISTED_BYTES - 2 * MAX_PROCESS_ARGUMENTS_BYTES);
});
