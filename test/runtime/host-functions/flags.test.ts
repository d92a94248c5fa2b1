import { describe, expect, test } from "vitest";
import { z } from "zod";
import { flagsOf, type JsonSchema, parseArguments } from "../../../src/runtime/host-functions/flags.ts";
import { cpuMs } from "../../support/cpu.ts";

const flags = (schema: z.ZodType) => flagsOf(z.toJSONSchema(schema, { io: "input" }) as JsonSchema);

const schema = z.object({
  city: z.string(),
  maxDays: z.int().default(3),
  dryRun: z.boolean().optional(),
  units: z.enum(["metric", "imperial"]).optional(),
  tags: z.array(z.string()).optional(),
  port: z.literal([80, 443]).optional(),
  note: z.string().nullable().optional(),
  where: z.object({ lat: z.number() }).optional(),
});

const read = (...args: string[]) => parseArguments(flags(schema), args);

describe("flags", () => {
  test.each<[args: string[], input: object]>([
    [["--city", "Berlin"], { city: "Berlin" }],
    [["--city=Berlin=East"], { city: "Berlin=East" }],
    [["--city="], { city: "" }],
    [["--city=--x\n--y"], { city: "--x\n--y" }],
    [["--city", "-5"], { city: "-5" }],
    [["--city", "a", "--max-days", "7"], { city: "a", maxDays: 7 }],
    [["--city", "a", "--dry-run"], { city: "a", dryRun: true }],
    [["--city", "a", "--no-dry-run"], { city: "a", dryRun: false }],
    [["--city", "a", "--dry-run=false"], { city: "a", dryRun: false }],
    [["--city", "a", "--units", "metric"], { city: "a", units: "metric" }],
    [["--city", "a", "--port", "443"], { city: "a", port: 443 }],
    [["--tags", "x", "--city", "a", "--tags", "y"], { city: "a", tags: ["x", "y"] }],
    [["--city", "a", "--note", "n"], { city: "a", note: "n" }],
    [["--city", "a", "--where", '{"lat":1}'], { city: "a", where: { lat: 1 } }],
  ])("%j set properties", (args, input) => {
    expect(read(...args)).toEqual({ kind: "flags", input });
  });

  test.each<[args: string[], message: string]>([
    [[], "Missing required flag: --city"],
    [["--city"], "Flag --city needs a value (--city=VALUE, if it begins with --)"],
    [["--city", "--dry-run"], "Flag --city needs a value (--city=VALUE, if it begins with --)"],
    [["--city", "a", "--city", "b"], "Flag --city is given twice"],
    [["--city", "a", "--max-days", "many"], "Flag --max-days expects a number, got many"],
    [["--city", "a", "--max-days", ""], "Flag --max-days expects a number, got "],
    [["--city", "a", "--units", "x"], "Flag --units expects one of metric, imperial, got x"],
    [["--city", "a", "--dry-run=maybe"], "Flag --dry-run expects true or false, got maybe"],
    [["--nope"], "Unknown flag: --nope"],
    [["--__proto__", "x"], "Unknown flag: --__proto__"],
    [["Berlin"], "Unexpected argument: Berlin"],
    [["--"], "Unexpected argument: --"],
    [["--json", "{}", "--city", "a"], "Give the input once: by --json, by --json-file or by flags"],
    [["--json", "{}", "--json", "{}"], "Give the input once: by --json, by --json-file or by flags"],
    [["--json", "{}", "--json-file", "f"], "Give the input once: by --json, by --json-file or by flags"],
  ])("%j are refused", (args, message) => {
    expect(() => read(...args)).toThrow(message);
  });

  test("100,000 values of a list are read in linear time", () => {
    const values = Array.from({ length: 100_000 }, (_, index) => `--tags=${index}`);
    const startedAt = cpuMs();
    expect(read("--city", "a", ...values)).toMatchObject({ kind: "flags", input: { city: "a" } });
    // Quadratic time is above 5 s.
    expect(cpuMs() - startedAt).toBeLessThan(2_000);
  });

  test("--json, --json-file and --help need no other flag", () => {
    expect(read("--json", '{"a":1}')).toEqual({ kind: "json", text: '{"a":1}' });
    expect(read("--json-file=-")).toEqual({ kind: "file", path: "-" });
    expect(read("--city", "a", "--help")).toEqual({ kind: "help" });
  });
});

test.each<[name: string, schema: z.ZodType, message: string]>([
  ["two properties of one flag", z.object({ aB: z.string(), "a-b": z.string() }), "--a-b"],
  ["a switch and its negation", z.object({ x: z.boolean(), noX: z.string() }), "--no-x"],
  ["the name of a common flag", z.object({ json: z.string() }), "--json"],
  ["another common flag", z.object({ jsonFile: z.string() }), "--json-file"],
  ["a name with a space", z.object({ "a b": z.string() }), '"a b" cannot be a flag'],
])("a schema with %s is refused", (_name, schema, message) => {
  expect(() => flags(schema)).toThrow(message);
});
