import { availableParallelism } from "node:os";
import { expect, test } from "vitest";
import { bootInTurn, runningBoots } from "../../../src/runtime/sandbox/boot-queue.ts";
import { failure } from "../../support/until.ts";

const never = new AbortController().signal;
const capacity = Math.max(2, availableParallelism());

test("as many boots run at once as there are CPUs, the others in the order in which they came", async () => {
  const gates = Array.from({ length: capacity + 2 }, () => Promise.withResolvers<void>());
  const begun: number[] = [];
  const boots = gates.map(({ promise }, index) =>
    bootInTurn(never, () => {
      begun.push(index);
      return promise;
    }),
  );
  await new Promise(setImmediate);
  expect(begun).toEqual([...Array(capacity).keys()]);
  gates[1]?.resolve();
  await boots[1];
  await new Promise(setImmediate);
  expect(begun).toEqual([...Array(capacity + 1).keys()]);
  for (const { resolve } of gates) resolve();
  await Promise.all(boots);
  expect(begun.at(-1)).toBe(capacity + 1);
  expect(runningBoots()).toBe(0);
});

test("a boot that fails, and a VM that ends while it waits, leave their places to others", async () => {
  const gate = Promise.withResolvers<void>();
  const running = Array.from({ length: capacity }, () => failure(bootInTurn(never, () => gate.promise)));
  const stop = new AbortController();
  const waiting = failure(bootInTurn(stop.signal, async () => undefined));
  stop.abort(new Error("the VM ends"));
  expect((await waiting).message).toBe("the VM ends");
  gate.reject(new Error("no memory"));
  expect((await Promise.all(running)).every(({ message }) => message === "no memory")).toBe(true);
  expect(await bootInTurn(never, async () => "up")).toBe("up");
});
