// @module-tag attack
import { expect, test } from "vitest";
import { wireSize } from "../../../src/api/size.ts";
import { keptCommand, listed } from "../../../src/runtime/processes/kept-command.ts";
import { MAX_KEPT_COMMAND_CHARS, MAX_LISTED_PROCESS_BYTES } from "../../../src/runtime/processes/limits.ts";
import { heldBytes } from "../../support/heap.ts";
import { startVm } from "../../support/vm.ts";

const LONG = 100_000;

test("the table of processes and that of shells have the beginning of a long command line", async () => {
  const { vm } = startVm();
  const args = ["-c", "exit 3", ...Array.from({ length: 9 }, (_, index) => `${index}${"x".repeat(LONG)}`)];
  const { pid } = await vm.spawn("sh", args);
  expect(await vm.waitProcess(pid)).toBe(3);
  const { shellId } = await vm.openShell({ command: "sh", args });
  await vm.waitShell(shellId);
  const shell = (await vm.listShells()).find((one) => one.shellId === shellId);
  for (const info of [await vm.getProcess(pid), shell]) {
    expect(info?.command).toBe("sh");
    expect(info?.args.slice(0, 2)).toEqual(["-c", "exit 3"]);
    expect(info?.args).toHaveLength(3);
    expect(info?.args[2]).toMatch(/^0x+$/);
    expect(info?.args.join("").length).toBeLessThan(MAX_KEPT_COMMAND_CHARS);
  }
});

test("the kept part of a command line takes no more memory than it has characters", () => {
  const before = heldBytes();
  const kept = Array.from({ length: 100 }, (_, index) =>
    keptCommand({
      command: "sh",
      args: [`${index}${"x".repeat(LONG)}`, ...new Array<string>(LONG).fill("")],
    }),
  );
  expect(kept[0]?.args[0]?.length).toBeGreaterThan(MAX_KEPT_COMMAND_CHARS - 100);
  expect(heldBytes() - before).toBeLessThan(100 * 4 * MAX_KEPT_COMMAND_CHARS);
});

test("the oldest command lines of a list are short, if all together are too large for one message", () => {
  const info = {
    ...{
      pid: 1,
      command: "x".repeat(300),
      running: false,
      exitCode: 0,
      signal: null,
      reason: "exit" as const,
    },
    ...{ startedAt: 0, exitedAt: 0, oomKills: 0, waitingForInput: false as const },
    args: ["\u20ac".repeat(MAX_KEPT_COMMAND_CHARS)],
  };
  const all = Array.from({ length: 2_000 }, (_, index) => ({ ...info, pid: index + 1 }));
  const list = listed(all);
  expect(wireSize(list)).toBeLessThan(MAX_LISTED_PROCESS_BYTES * 1.2);
  expect(list.map(({ pid }) => pid)).toEqual(all.map(({ pid }) => pid));
  expect(list[0]).toEqual({ ...info, command: "x".repeat(256), args: [] });
  expect(list.at(-1)).toEqual(all.at(-1));
});
