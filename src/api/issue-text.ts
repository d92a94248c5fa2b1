import type { z } from "zod";

/** Words for the types that zod names. */
const TYPES: Readonly<Record<string, string>> = {
  array: "an array",
  bigint: "a bigint",
  boolean: "a boolean",
  date: "a date",
  int: "an integer",
  number: "a number",
  object: "an object",
  record: "an object",
  string: "a string",
  undefined: "left out",
};

/** Units of the sizes that zod bounds. */
const UNITS: Readonly<Record<string, string>> = {
  array: "an array with {} entries",
  set: "a set with {} entries",
  map: "a map with {} entries",
  string: "a string with {} characters",
};

/** Returns words that complete "Expected `x` to be", for an issue of a schema that has no words of its own. */
export function issueText(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      return TYPES[issue.expected as string];
    case "too_small":
      return bounded(issue.origin, issue.inclusive === false ? "more than" : "at least", issue.minimum);
    case "too_big":
      return bounded(issue.origin, issue.inclusive === false ? "less than" : "at most", issue.maximum);
    case "invalid_value":
      return (issue.values as unknown[]).map((value) => JSON.stringify(value)).join(" or ");
    case "invalid_format":
      return issue.pattern === undefined ? undefined : `a string that matches ${issue.pattern}`;
    default:
      return undefined;
  }
}

function bounded(origin: string, relation: string, bound: unknown): string {
  const amount = `${relation} ${bound}`;
  return UNITS[origin]?.replace("{}", amount) ?? `a number of ${amount}`;
}
