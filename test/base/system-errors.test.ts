import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { AgentVmError } from "../../src/api/errors.ts";
import { ifThere, isShortage, isTableFull } from "../../src/base/system-errors.ts";

const errorOf = (code: string) => Object.assign(new Error(code), { code });

test("names errors of a process without room for another file", () => {
  const codes = ["EMFILE", "ENFILE", "ENOMEM", "ENOENT"];
  expect(codes.filter((code) => isTableFull(errorOf(code)))).toEqual(["EMFILE", "ENFILE"]);
  expect(codes.filter((code) => isShortage(errorOf(code)))).toEqual(["EMFILE", "ENFILE", "ENOMEM"]);
  expect([undefined, null, "EMFILE"].some(isShortage)).toBe(false);
  expect(isShortage(new AgentVmError("EMFILE", "too many open files"))).toBe(true);
});

test("reads a file that may be missing, and throws every other error", () => {
  expect(ifThere(() => readFileSync(import.meta.filename, "utf8"))).toContain("reads a file");
  expect(ifThere(() => readFileSync(`${import.meta.filename}.missing`))).toBeUndefined();
  expect(() => ifThere(() => readFileSync(import.meta.dirname))).toThrow("EISDIR");
});
