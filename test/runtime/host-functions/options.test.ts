import { expect, test } from "vitest";
import { z } from "zod";
import { checkOptions } from "../../../src/runtime/check-options.ts";
import type { VmOptionsInput } from "../../../src/runtime/options.ts";

const called = { inputSchema: z.object({}), execute: () => null };

test.each<[name: string, options: unknown, argument: string, message: string]>([
  ["a bad group", { hostFunctions: { "my group": { a: called } } }, "hostFunctions.my group", "kebab-case"],
  ["a bad name", { hostFunctions: { g: { "a/../b": called } } }, "hostFunctions.g.a/../b", "kebab-case"],
  [
    "a long name",
    { hostFunctions: { ["g".repeat(32)]: {} } },
    `hostFunctions.${"g".repeat(32)}`,
    "at most 31",
  ],
  [
    "two names that collide",
    { hostFunctions: { g: { listAll: called, "list-all": called } } },
    "hostFunctions.g.list-all",
    "have the name list-all",
  ],
  [
    "two groups that collide",
    { hostFunctions: { g: {} }, bindings: [{ name: "G", bindings: {} }] },
    "bindings.0",
    "have the name g",
  ],
  [
    "a schema that is no object",
    { hostFunctions: { g: { a: { ...called, inputSchema: z.string() } } } },
    "hostFunctions.g.a.inputSchema",
    "must be an object",
  ],
  [
    "a schema of something else",
    { hostFunctions: { g: { a: { ...called, inputSchema: { type: "object" } } } } },
    "hostFunctions.g.a.inputSchema",
    "must be a schema of zod 4",
  ],
  [
    "flags that collide",
    { hostFunctions: { g: { a: { ...called, inputSchema: z.object({ help: z.string() }) } } } },
    "hostFunctions.g.a.inputSchema",
    "--help",
  ],
  [
    "no function",
    { hostFunctions: { g: { a: { inputSchema: z.object({}) } } } },
    "hostFunctions.g.a.execute",
    "",
  ],
  ["an unknown key", { hostFunctions: { g: { a: { ...called, run: 1 } } } }, "hostFunctions.g.a.run", ""],
  [
    "no timeout at all",
    { hostFunctions: { g: { a: { ...called, timeout: 0 } } } },
    "hostFunctions.g.a.timeout",
    "",
  ],
])("options with %s are refused by name", (_name, options, argument, message) => {
  let error: unknown;
  try {
    checkOptions(options as VmOptionsInput);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toMatchObject({ code: "invalid_argument" });
  expect(String(error)).toContain(argument);
  expect(String(error)).toContain(message);
});
