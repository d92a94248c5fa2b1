import { expect, test } from "vitest";
import { Mutex } from "../../../src/base/mutex.ts";
import { REPLAY_CHUNK_BYTES } from "../../../src/runtime/processes/limits.ts";
import { ReplayBudget, ReplayBuffer } from "../../../src/runtime/processes/replay-buffer.ts";
import { ShellScreen } from "../../../src/runtime/shells/shell-screen.ts";

const SIZE = { cols: 80, rows: 24 };

test("a drawn screen counts as kept output, and makes room for other output", async () => {
  const budget = new ReplayBudget(10_000);
  const output = new ReplayBuffer<object>(10_000, budget);
  const screen = new ShellScreen(SIZE, (seq) => output.after(seq), new Mutex(), budget);
  output.push({}, Buffer.from("hello"));
  const before = budget.bytes;
  const { data } = await screen.snapshot("screen");
  expect(budget.bytes).toBe(before + data.byteLength);
  expect(Buffer.from(data).toString()).toContain("hello");
  await screen.snapshot("screen");
  expect(budget.bytes).toBe(before + data.byteLength);
  const other = new ReplayBuffer<object>(10_000, budget);
  other.push({}, Buffer.alloc(10_000 - REPLAY_CHUNK_BYTES));
  expect(budget.bytes).toBe(10_000);
  expect(Buffer.from((await screen.snapshot("screen")).data).toString()).not.toContain("hello");
  screen.end();
  screen.forget();
  output.clear();
  other.clear();
  expect(budget.bytes).toBe(0);
});
