import { expect, test } from "vitest";
import { MAX_REMEMBERED_NAMES } from "../../../../src/runtime/network/limits.ts";
import { OutboundNames } from "../../../../src/runtime/network/outbound/names.ts";

const dotted = (address: Buffer) => [...address].join(".");

test("a name keeps its address in both families", () => {
  const names = new OutboundNames();
  expect(dotted(names.addressOf("a.example", 4))).toBe("198.18.0.3");
  expect(dotted(names.addressOf("b.example", 4))).toBe("198.18.0.4");
  expect(names.addressOf("a.example", 6).toString("hex")).toBe("fd6167656e74766d00000000c6120003");
  expect(names.nameOf("198.18.0.3")).toBe("a.example");
  expect(names.nameOf("fd61:6765:6e74:766d::c612:4")).toBe("b.example");
  expect(names.nameOf("198.18.0.1")).toBeNull();
  expect(names.nameOf("198.19.255.255")).toBeNull();
  for (const other of [
    "198.20.0.0",
    "198.17.255.255",
    "10.0.0.1",
    "::1",
    "fd61:6765:6e74:766d::1",
    "fd61:6765:6e74:766d:1::c612:4",
  ])
    expect([other, names.nameOf(other)]).toEqual([other, undefined]);
});

test("the name without use for the longest time is forgotten, and its address is not given away soon", () => {
  const names = new OutboundNames();
  for (let n = 0; n < MAX_REMEMBERED_NAMES; n++) names.addressOf(`h${n}`, 4);
  expect(names.nameOf("198.18.0.3")).toBe("h0");
  const next = names.addressOf("one-more", 4);
  expect(names.nameOf("198.18.0.3")).toBe("h0");
  expect(names.nameOf("198.18.0.4")).toBeNull();
  expect(dotted(next)).not.toBe("198.18.0.4");
  // Addresses come round only after all others, and none has two names.
  for (let n = 0; n < 140_000; n++) names.addressOf(`x${n}`, 4);
  const last = dotted(names.addressOf("last", 4));
  expect(names.nameOf(last)).toBe("last");
});
