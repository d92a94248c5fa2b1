import { expect, test } from "vitest";
import { LONG_METHODS, NULLABLE_METHODS, SIGNAL_METHODS } from "../../src/api/methods/facts.ts";
import { rowOf, VM_METHOD_NAMES } from "../../src/api/methods/table.ts";

test("the client's facts of methods are those of the method table", () => {
  const having = (flag: "long" | "nullable" | "signal") =>
    VM_METHOD_NAMES.filter((name) => rowOf(name)[flag] === true).sort();
  expect([...LONG_METHODS].sort()).toEqual(having("long"));
  expect([...NULLABLE_METHODS].sort()).toEqual(having("nullable"));
  expect([...SIGNAL_METHODS].sort()).toEqual(
    having("signal").map((name) => [name, rowOf(name).input.names.length]),
  );
});
