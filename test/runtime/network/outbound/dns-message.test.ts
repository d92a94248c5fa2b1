import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import {
  encodeAnswer,
  encodeMalformed,
  parseQuestion,
  type Question,
  RCODE,
} from "../../../../src/runtime/network/outbound/dns-message.ts";

/** A question as the C library sends it. */
function question(name: string, type = 1, more = ""): Buffer {
  const labels = name
    .split(".")
    .map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, "latin1")]));
  const head = Buffer.from("123401000001000000000000", "hex");
  return Buffer.concat([
    head,
    ...labels,
    Buffer.from([0, type >> 8, type & 0xff, 0, 1]),
    Buffer.from(more, "hex"),
  ]);
}

test("reads a question, and answers it with an address", () => {
  const message = question("Api.Example", 28, "0000291000000000000000");
  const parsed = parseQuestion(message);
  expect(parsed).toMatchObject({ id: 0x1234, name: "api.example", type: 28, isRecursive: true });
  const answer = encodeAnswer(parsed as Question, RCODE.ok, { address: Buffer.alloc(16, 7), ttlSeconds: 60 });
  expect(answer.toString("hex")).toBe(
    `123481800001000100000000${message.subarray(12, 29).toString("hex")}c00c001c00010000003c0010${"07".repeat(16)}`,
  );
  expect(encodeAnswer(parsed as Question, RCODE.absent).toString("hex")).toBe(
    `123481830001000000000000${message.subarray(12, 29).toString("hex")}`,
  );
});

test.each([
  ["a response", Buffer.concat([Buffer.from("123481800001000000000000", "hex"), question("a").subarray(12)])],
  [
    "two questions",
    Buffer.concat([Buffer.from("123401000002000000000000", "hex"), question("a").subarray(12)]),
  ],
  ["an update", Buffer.concat([Buffer.from("123428000001000000000000", "hex"), question("a").subarray(12)])],
  ["a compressed name", Buffer.from("123401000001000000000000c00c00010001", "hex")],
  ["a dot within a label", question("x").fill(".", 13, 14)],
  ["a zero byte within a label", question("a\0b")],
  ["a long name", question(Array(50).fill("abcdef").join("."))],
  ["a long message", question("a", 1, "00".repeat(600))],
  ["no end", question("abc").subarray(0, 15)],
  ["nothing", Buffer.alloc(0)],
])("refuses %s", (_what, message) => {
  expect(parseQuestion(message)).toBeUndefined();
});

test("no bytes make the reader fail or read a name with other characters", () => {
  for (let round = 0; round < 20_000; round++) {
    const message =
      round % 2 === 0 ? randomBytes(round % 600) : question("some.name.example", round % 65_536);
    for (let n = 0; n < round % 4; n++)
      message[(round * 31 + n * 7) % Math.max(1, message.length)] = randomBytes(1)[0] as number;
    const parsed = parseQuestion(message);
    if (parsed !== undefined) {
      expect(parsed.name).toMatch(/^[a-z0-9_.-]{0,253}$/);
      expect(encodeAnswer(parsed, RCODE.failed).length).toBeLessThanOrEqual(512);
    } else encodeMalformed(message);
  }
});
