import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import * as limits from "../../src/api/limits.ts";
import { limitsSchema } from "../../src/runtime/options.ts";
import { ROOT, readDocument } from "./blocks.ts";

type Row = Record<string, string>;

/** The tables of a document, each row by its column's name. */
function tablesOf(markdown: string): Row[][] {
  const runs = markdown.match(/(?:^\|.*\n)+/gm) ?? [];
  return runs.map((run) => {
    const [header = [], , ...rows] = run.trimEnd().split("\n").map(cellsOf);
    return rows.map((cells) => Object.fromEntries(header.map((name, index) => [name, cells[index] ?? ""])));
  });
}

function cellsOf(line: string): string[] {
  return line
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim().replace(/^`([^`]*)`$/, "$1"));
}

function numberOf(text: string | undefined): number | undefined {
  return text ? Number(text.replaceAll(",", "")) : undefined;
}

const UNITS: Record<string, number> = {
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
  s: 1000,
  min: 60_000,
};

/** What a unit such as `bytes (31 MiB)` says in parentheses, in the unit before them. */
function inParentheses(unit: string): number | undefined {
  const [, count, name = ""] = /\((\S+) (\S+)\)$/.exec(unit) ?? [];
  return count === undefined ? undefined : Number(count) * (UNITS[name] ?? Number.NaN);
}

/** A product of numbers as the sources write it, e.g. `64 * MIB`. */
function evaluate(expression: string): number {
  const factors = expression.split("*").map((factor) => {
    const text = factor.trim();
    return { KIB: UNITS.KiB, MIB: UNITS.MiB }[text] ?? Number(text.replaceAll("_", ""));
  });
  return factors.reduce((product, factor) => product * factor, 1);
}

const constants: Record<string, number> = { ...limits };
const [vmTable = [], apiTable = [], runtimeTable = []] = tablesOf(readDocument("docs/limits.md"));

test("docs/limits.md has every constant of src/api/limits.ts with its value, in the same order", () => {
  const documented = apiTable.map(({ name, value }) => [name, numberOf(value)]);
  const source = readFileSync(join(ROOT, "src/api/limits.ts"), "utf8");
  const order = [...source.matchAll(/^export const (\w+)/gm)].map(([, name = ""]) => name);
  expect(order.toSorted()).toEqual(Object.keys(constants).toSorted());
  expect(documented).toEqual(order.map((name) => [name, constants[name]]));
});

test("it has every limit of a VM with its default and range", () => {
  const defaults = limitsSchema.parse({});
  expect(vmTable.map(({ name, default: value }) => [name, numberOf(value)])).toEqual(
    Object.entries(defaults),
  );
  for (const { name = "", from, to } of vmTable) {
    const accepts = (value: number) => limitsSchema.safeParse({ [name]: value }).success;
    const [smallest, largest] = [numberOf(from)!, numberOf(to)];
    expect([name, accepts(smallest), accepts(smallest - 1)]).toEqual([name, true, false]);
    expect([name, accepts(largest ?? 2 ** 52), accepts((largest ?? 2 ** 53) + 1)]).toEqual([
      name,
      true,
      false,
    ]);
  }
});

test("the runtime's limits are those of the files that it names", () => {
  for (const { name, value, where = "" } of runtimeTable) {
    const source = readFileSync(join(ROOT, "src", where), "utf8");
    const [, expression = ""] = new RegExp(`^(?:export )?const ${name} = (.*);$`, "m").exec(source) ?? [];
    expect([where, name, evaluate(expression)]).toEqual([where, name, numberOf(value)]);
  }
  expect(runtimeTable.length).toBeGreaterThan(10);
});

test("what stands in parentheses is the same in another unit", () => {
  for (const row of [...vmTable, ...apiTable, ...runtimeTable]) {
    const other = inParentheses(row.unit ?? "");
    const value = numberOf(row.value ?? row.default);
    if (other !== undefined) expect([row.name, other]).toEqual([row.name, value]);
  }
});
