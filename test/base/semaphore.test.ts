import { expect, test } from "vitest";
import { Semaphore } from "../../src/base/semaphore.ts";
import { failure } from "../support/until.ts";

test("waiters get a place in the order of their calls", async () => {
  const places = new Semaphore(1);
  const order: string[] = [];
  await places.acquire();
  const waiters = ["one", "two", "three"].map(async (name) => {
    await places.acquire();
    order.push(name);
    places.release();
  });
  places.release();
  await Promise.all(waiters);
  expect(order).toEqual(["one", "two", "three"]);
  expect(places.busy).toBe(0);
});

test("an aborted waiter leaves the queue, and takes no place", async () => {
  const places = new Semaphore(1);
  await places.acquire();
  const stop = new AbortController();
  const aborted = failure(places.acquire(stop.signal));
  const next = places.acquire();
  stop.abort(new Error("enough"));
  expect((await aborted).message).toBe("enough");
  places.release();
  await next;
  places.release();
  expect(places.busy).toBe(0);
  expect((await failure(places.acquire(stop.signal))).message).toBe("enough");
  expect(places.busy).toBe(0);
});

test("a waiter with a signal that got its place keeps it after an abort", async () => {
  const places = new Semaphore(1);
  await places.acquire();
  const stop = new AbortController();
  const waiting = places.acquire(stop.signal);
  places.release();
  stop.abort();
  await waiting;
  expect(places.busy).toBe(1);
});
