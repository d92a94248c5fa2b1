import { expect, test } from "vitest";
import { Mutex } from "../../src/base/mutex.ts";
import { Semaphore } from "../../src/base/semaphore.ts";

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("a mutex runs one piece of work at a time, in order, and continues after a failure", async () => {
  const mutex = new Mutex();
  const log: string[] = [];
  const work = (name: string) => async () => {
    log.push(`${name} starts`);
    await turn();
    log.push(`${name} ends`);
    if (name === "a") throw new Error("broken");
    return name;
  };
  const a = expect(mutex.run(work("a"))).rejects.toThrow("broken");
  expect(await mutex.run(work("b"))).toBe("b");
  await a;
  expect(log).toEqual(["a starts", "a ends", "b starts", "b ends"]);
});

test("a semaphore admits as many as its capacity, then the next ones in order", async () => {
  const semaphore = new Semaphore(2);
  const log: number[] = [];
  const enter = [1, 2, 3, 4].map((number) => semaphore.acquire().then(() => log.push(number)));
  await turn();
  expect(log).toEqual([1, 2]);
  semaphore.release();
  await turn();
  expect(log).toEqual([1, 2, 3]);
  semaphore.release();
  await Promise.all(enter);
  expect(semaphore.busy).toBe(2);
  semaphore.release();
  semaphore.release();
  expect(semaphore.busy).toBe(0);
});

test("a semaphore gives the place of work that failed to the next", async () => {
  const semaphore = new Semaphore(1);
  const failing = semaphore.run(() => Promise.reject(new Error("broken")));
  const next = semaphore.run(async () => semaphore.busy);
  await expect(failing).rejects.toThrow("broken");
  expect(await next).toBe(1);
  await turn();
  expect(semaphore.busy).toBe(0);
});
