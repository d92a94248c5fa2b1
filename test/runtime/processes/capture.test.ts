import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { FairPool } from "../../../src/base/fair-pool.ts";
import { Capture, CaptureBudget } from "../../../src/runtime/processes/capture.ts";

const MIB = 1024 * 1024;

test("past the limit of all VMs the VM that captures the most loses output, and no other VM", async () => {
  const pool = new FairPool(1000);
  const [quiet, loud] = [new CaptureBudget(900, pool), new CaptureBudget(2000, pool)];
  const witness = new Capture(200, quiet);
  witness.push("stdout", Buffer.alloc(200, "w"));
  const floods = [0, 1].map(() => new Capture(600, loud)) as [Capture, Capture];
  for (const flood of floods) {
    flood.push("stderr", Buffer.alloc(100, "e"));
    flood.push("stdout", Buffer.alloc(500, "o"));
  }
  expect(pool.bytes).toBeLessThanOrEqual(1000);
  expect(pool.bytes).toBeGreaterThan(900);
  expect(await witness.texts()).toMatchObject({ stdout: "w".repeat(200), stderr: "" });
  expect(witness.truncated).toBe(false);
  const texts = await Promise.all(floods.map((flood) => flood.texts()));
  for (const { stdout, stderr } of texts) {
    expect(stdout).toMatch(/^o{250,499}$/);
    expect(stderr).toBe("e".repeat(100));
  }
  expect(floods.map(({ truncated }) => truncated)).toEqual([true, true]);
  for (const capture of [witness, ...floods]) capture.release();
  expect([pool.bytes, quiet.bytes, loud.bytes]).toEqual([0, 0, 0]);
});

test("a capture takes nothing after it was read", async () => {
  const budget = new CaptureBudget(100);
  const capture = new Capture(100, budget);
  capture.push("stdout", Buffer.from("a"));
  await capture.texts();
  capture.release();
  capture.push("stdout", Buffer.from("b"));
  expect(budget.bytes).toBe(0);
});

test("decoding output that is no text leaves the event loop to others", async () => {
  const bytes = randomBytes(4 * MIB);
  const capture = new Capture(16 * MIB, new CaptureBudget(16 * MIB));
  capture.push("stdout", bytes);
  let turns = 0;
  let next = setImmediate(function turn() {
    turns += 1;
    next = setImmediate(turn);
  });
  const { stdout } = await capture.texts();
  clearImmediate(next);
  expect(stdout).toBe(bytes.toString());
  expect(turns).toBeGreaterThan(1);
});

test("a text that grows past the limit is cut between two characters", async () => {
  const capture = new Capture(MIB, new CaptureBudget(MIB));
  capture.push("stdout", Buffer.alloc(MIB - 3, 0xff));
  capture.push("stderr", Buffer.from("end"));
  const { stdout, stderr } = await capture.texts();
  expect(stdout).toBe("\u{fffd}".repeat(Math.floor(MIB / 3)));
  expect([stderr, capture.truncated]).toEqual(["e", true]);
});
