import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Programs } from "../../../../src/runtime/sandbox/kernel/programs.ts";

let left = false;
let looks = 0;
let programs: Programs;
let pass: (ms: number) => void;

beforeEach(() => {
  let now = 1;
  vi.spyOn(performance, "now").mockImplementation(() => now);
  pass = (ms) => {
    now += ms;
  };
  left = false;
  looks = 0;
  programs = new Programs(() => {
    looks += 1;
    return left;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** Starts a program. @returns its end */
async function start(): Promise<() => Promise<void>> {
  const { promise: exited, resolve } = Promise.withResolvers<void>();
  await programs.start(async () => ({ exited }));
  return async () => {
    resolve();
    await exited;
    await null;
  };
}

test("no program may run before the first one starts", () => {
  expect([programs.mayRun, looks]).toEqual([false, 0]);
});

test("a program may run from before its start to its end", async () => {
  const { promise: exited, resolve } = Promise.withResolvers<void>();
  let during: boolean | undefined;
  await programs.start(async () => {
    during = programs.mayRun;
    return { exited };
  });
  expect([during, programs.mayRun, looks]).toEqual([true, true, 0]);
  resolve();
  await exited;
  await null;
  expect([programs.mayRun, looks]).toEqual([false, 1]);
  expect([programs.mayRun, looks]).toEqual([false, 1]);
});

test("processes that a program has left may run until a later look", async () => {
  const end = await start();
  left = true;
  await end();
  expect([programs.mayRun, programs.mayRun, looks]).toEqual([true, true, 1]);
  left = false;
  expect([programs.mayRun, looks]).toEqual([true, 1]);
  pass(100);
  expect([programs.mayRun, looks]).toEqual([false, 2]);
});

test("a program that could not start may have left processes", async () => {
  left = true;
  await expect(programs.start(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(programs.mayRun).toBe(true);
});

test("the end of one program says nothing of others", async () => {
  const [end, endOther] = [await start(), await start()];
  await end();
  expect([programs.mayRun, looks]).toEqual([true, 0]);
  await endOther();
  expect(programs.mayRun).toBe(false);
});
