import { describe, expect, test } from "vitest";
import { z } from "zod";
import { issueText } from "../../src/api/issue-text.ts";
import { METHODS } from "../../src/api/methods/table.ts";
import { CREATE_TOKEN_INPUT } from "../../src/api/tokens.ts";
import { VM_LIST_INPUT } from "../../src/api/vm-list.ts";

/** A schema with bounds, and the place where a method takes it. */
interface Bounded {
  place: string;
  schema: z.ZodType;
}

function* boundedIn(schema: unknown, place: string): Generator<Bounded> {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    yield* boundedIn(schema.unwrap(), place);
  else if (schema instanceof z.ZodPipe) yield* boundedIn(schema.in, place);
  else if (schema instanceof z.ZodUnion) for (const option of schema.options) yield* boundedIn(option, place);
  else if (schema instanceof z.ZodTuple)
    for (const [index, item] of schema.def.items.entries()) yield* boundedIn(item, `${place}[${index}]`);
  else if (schema instanceof z.ZodObject)
    for (const [name, inner] of Object.entries(schema.shape)) yield* boundedIn(inner, `${place}.${name}`);
  else if (schema instanceof z.ZodRecord) yield* boundedIn(schema.valueType, `${place}.*`);
  else if (schema instanceof z.ZodArray) {
    yield { place, schema };
    yield* boundedIn(schema.element, `${place}[]`);
  } else if (schema instanceof z.ZodNumber || schema instanceof z.ZodString) yield { place, schema };
}

interface Bounds {
  minimum?: number;
  maximum?: number;
}

function boundsOf(schema: z.ZodType): Bounds {
  const bounds: Bounds = {};
  for (const { _zod } of (schema.def.checks ?? []) as z.core.$ZodCheck[]) {
    const { check, value, minimum, maximum } = _zod.def as unknown as Record<string, number | string>;
    if (check === "greater_than") bounds.minimum = Math.max(Number(value), bounds.minimum ?? -Infinity);
    if (check === "less_than") bounds.maximum = Math.min(Number(value), bounds.maximum ?? Infinity);
    if (check === "min_length") bounds.minimum = Number(minimum);
    if (check === "max_length") bounds.maximum = Number(maximum);
  }
  return bounds;
}

function sampleOf(schema: z.ZodType, size: number): unknown {
  if (schema instanceof z.ZodNumber) return size;
  return schema instanceof z.ZodArray ? Array.from({ length: size }, () => "x") : "x".repeat(size);
}

/** Words for a minimum. */
const MINIMA: Readonly<Record<number, RegExp>> = {
  0: /\b0\b|non-negative/,
  1: /\b1\b|positive|non-empty|at least one|a name/,
};

const rows: [place: string, value: unknown, words: RegExp, schema: z.ZodType][] = [];
const inputs = { ...METHODS, list: { input: VM_LIST_INPUT }, tokens: { input: CREATE_TOKEN_INPUT } };
for (const [method, { input }] of Object.entries(inputs)) {
  for (const { place, schema } of boundedIn(input.args, method)) {
    // A cursor is a value of the server: its length means nothing to a caller.
    if (place.endsWith(".cursor")) continue;
    const { minimum, maximum } = boundsOf(schema);
    if (minimum !== undefined && (minimum > 0 || schema instanceof z.ZodNumber)) {
      const words = MINIMA[minimum] ?? new RegExp(String(minimum));
      rows.push([`${place} below its minimum`, sampleOf(schema, minimum - 1), words, schema]);
    }
    if (maximum !== undefined && maximum < 2 ** 40)
      rows.push([
        `${place} above its maximum`,
        sampleOf(schema, maximum + 1),
        new RegExp(`${maximum}`),
        schema,
      ]);
  }
}

describe("a message about a range gives the bound", () => {
  test("the table has ranges", () => expect(rows.length).toBeGreaterThan(50));

  test.each(rows)("%s", (_place, value, words, schema) => {
    const messages = schema
      .safeParse(value, { error: issueText })
      .error?.issues.map(({ message }) => message);
    expect(messages?.join()).toMatch(words);
  });
});
