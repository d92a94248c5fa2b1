import { describe, expect, test } from "vitest";
import { AgentVmError } from "../../src/api/errors.ts";
import { createClient } from "../../src/client/index.ts";
import type { FakeServer } from "../support/servers.ts";
import { failure } from "../support/until.ts";

const { vm } = createClient<FakeServer["registry"]>({ endpoint: "http://127.0.0.1:9" });

describe.each(["getOrCreate", "get", "create"] as const)(
  "%s refuses, before it sends anything,",
  (method) => {
    test.each<[string, unknown, string]>([
      ["a missing key", undefined, "a string, or an array of strings, none of them empty"],
      ["null", null, "a string, or an array of strings, none of them empty"],
      ["an empty text", "", "a string, or an array of strings, none of them empty"],
      ["a number", 5, "a string, or an array of strings, none of them empty"],
      ["an empty array", [], "1 to 16 strings"],
      ["a part that is missing", ["team", undefined], "a string, or an array of strings, none of them empty"],
      ["an empty part", ["team", ""], "a string, or an array of strings, none of them empty"],
      ["too many parts", Array.from({ length: 17 }, () => "a"), "1 to 16 strings"],
      ["a key that is too long", "€".repeat(342), "at most 1024 bytes"],
    ])("%s", async (_name, key, expected) => {
      const error = await failure((async () => await vm[method](key as string))());
      expect(error).toBeInstanceOf(AgentVmError);
      expect(error).toMatchObject({ code: "invalid_argument", metadata: { argument: "key", expected } });
    });
  },
);

test("a key of the longest parts is a key", () => {
  expect(() => vm.getOrCreate("€".repeat(341))).not.toThrow();
  expect(() => vm.get(Array.from({ length: 16 }, () => "a"))).not.toThrow();
});
