import { expect, test } from "vitest";
import { layOut, separated } from "../../src/cli/table.ts";

const COLUMNS = [
  { title: "PID", of: ({ pid }: { pid: number; command: string }) => pid, isNumber: true },
  { title: "COMMAND", of: ({ command }: { command: string }) => command },
];

test("numbers stand at the right, and lines have no space at their ends", () => {
  const rows = [
    { pid: 1, command: "init" },
    { pid: 1234, command: "ls" },
  ];
  expect(layOut(rows, COLUMNS, 80)).toEqual([" PID  COMMAND", "   1  init", "1234  ls"]);
});

test("no line is wider than the terminal, also with wide characters", () => {
  const rows = [{ pid: 7, command: "漢字".repeat(40) }];
  const [, line = ""] = layOut(rows, COLUMNS, 24);
  expect(line).toBe(`  7  ${"漢字".repeat(4)}漢…`);
});

test("control characters are escaped on a terminal and in a pipe", () => {
  const rows = [{ pid: 1, command: "a\u001b[2Jb\tc\nd\u202e" }];
  const shown = "a\\u001b[2Jb\\u0009c\\u000ad\\u202e";
  expect(layOut(rows, COLUMNS, 80)[1]).toBe(`  1  ${shown}`);
  expect(separated(rows, COLUMNS)).toEqual([`1\t${shown}`]);
});
