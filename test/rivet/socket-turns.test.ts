import { AsyncLocalStorage } from "node:async_hooks";
import { expect, test } from "vitest";
import { beginAnswer, SocketTurns } from "../../src/rivet/socket-turns.ts";

const LARGE = 1 << 20;

test("large messages count until their answer begins, or a later one", () => {
  const turns = new SocketTurns();
  let begin: () => void = () => undefined;
  turns.arrived(() => undefined, LARGE);
  turns.arrived(() => undefined, 1000);
  turns.arrived(() => {
    begin = AsyncLocalStorage.bind(beginAnswer);
  }, LARGE);
  turns.arrived(() => undefined, LARGE);
  expect(turns.waitingBytes).toBe(3 * LARGE);
  begin();
  expect(turns.waitingBytes).toBe(LARGE);
  begin();
  expect(turns.waitingBytes).toBe(LARGE);
});

test("an answer counts, and an event of another connection does not", () => {
  const [one, other] = [new SocketTurns(), new SocketTurns()];
  one.arrived(() => {
    other.sent();
    expect(one.waitingBytes).toBe(LARGE);
    one.sent();
  }, LARGE);
  expect(one.waitingBytes).toBe(0);
});

test("small messages count together, with what each of them takes", () => {
  const turns = new SocketTurns();
  let begin: () => void = () => undefined;
  for (let count = 0; count < 10; count++) turns.arrived(() => undefined, 1_000);
  expect(turns.waitingBytes).toBe(0);
  for (let count = 0; count < 1_000; count++) {
    turns.arrived(() => {
      begin = AsyncLocalStorage.bind(beginAnswer);
    }, 100_000);
  }
  expect(turns.waitingBytes).toBeGreaterThan(100_000_000);
  for (let count = 0; count < 1_000; count++) turns.arrived(() => undefined, 1);
  begin();
  expect(turns.waitingBytes).toBeGreaterThan(1_000_000);
  turns.arrived(() => turns.sent(), 1);
  expect(turns.waitingBytes).toBe(0);
});
