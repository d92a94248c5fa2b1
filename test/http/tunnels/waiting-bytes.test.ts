import { expect, test } from "vitest";
import { MAX_TUNNEL_BYTES, MAX_TUNNEL_BYTES_PER_VM } from "../../../src/http/limits.ts";
import { WaitingBytes } from "../../../src/http/tunnels/waiting-bytes.ts";

function counters() {
  const waiting = new WaitingBytes();
  const cut: [name: string, limit: unknown][] = [];
  const of = (name: string, vm: string, tunnel: object) =>
    waiting.of(vm, tunnel, ({ metadata }) => cut.push([name, Object(metadata).limit]));
  return { waiting, cut, of };
}

test("a connection that fills the room of a VM is cut, and those of other tunnels go on", () => {
  const { waiting, cut, of } = counters();
  const [slow, quick] = [{}, {}];
  const first = of("first", "a", slow);
  const second = of("second", "a", slow);
  const other = of("other", "a", quick);
  second(1_000);
  // Alone the largest connection, but its tunnel holds less.
  const release = other(MAX_TUNNEL_BYTES_PER_VM / 2 - 100);
  const late = first(MAX_TUNNEL_BYTES_PER_VM / 2 - 950);
  expect(cut).toEqual([]);
  other(100);
  expect(cut).toEqual([["first", "MAX_TUNNEL_BYTES_PER_VM"]]);
  late();
  expect(waiting.total).toBe(MAX_TUNNEL_BYTES_PER_VM / 2 + 1_000);
  release();
  expect(waiting.total).toBe(1_100);
});

test("the connection whose bytes arrive is cut if it holds the most, and another VM has its own room", () => {
  const { waiting, cut, of } = counters();
  const filling = of("filling", "a", {});
  const other = of("other", "b", {});
  filling(MAX_TUNNEL_BYTES_PER_VM)();
  filling(MAX_TUNNEL_BYTES_PER_VM);
  other(1);
  expect(cut).toEqual([]);
  filling(1)();
  expect(cut).toEqual([["filling", "MAX_TUNNEL_BYTES_PER_VM"]]);
  expect(waiting.total).toBe(1);
});

test("past the limit of the server the VM with the most bytes loses a connection", () => {
  const { cut, of } = counters();
  for (let vm = 0; vm < MAX_TUNNEL_BYTES / MAX_TUNNEL_BYTES_PER_VM; vm++)
    of(`${vm}`, `${vm}`, {})(MAX_TUNNEL_BYTES_PER_VM - vm);
  of("late", "late", {})(1_000);
  expect(cut).toEqual([["0", "MAX_TUNNEL_BYTES"]]);
});
