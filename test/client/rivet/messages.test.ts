import { expect, test } from "vitest";
import { decodeMessage } from "../../../src/client/rivet/messages.ts";
import { toCbor } from "../../../src/client/rivet/values.ts";

const bodies: readonly unknown[] = [
  null,
  { tag: "Event" },
  { tag: "Event", val: { name: "x", args: 5 } },
  { tag: "Error", val: { group: "actor", code: 7, message: "" } },
  { tag: "ActionResponse", val: { id: "1" } },
  { tag: "Surprise", val: {} },
];

test.for(bodies)("a malformed message of the server is an error: %j", (body) => {
  for (const message of [{ body }, body]) {
    expect(() => decodeMessage("json", JSON.stringify(message))).toThrow(Error);
    expect(() => decodeMessage("cbor", toCbor(message))).toThrow(Error);
  }
});

test("an event in BARE whose arguments are no list is an error", () => {
  const args = toCbor(5);
  const message = Uint8Array.from([3, 0, 3, 1, 0x78, args.length, ...args]);
  expect(() => decodeMessage("bare", message)).toThrow("unknown form");
});
