import { globSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { expect, test } from "vitest";
import { COMMON, ROOMS } from "./arrows.ts";
import { importsOf, packagesOf, type SourceImport } from "./imports.ts";

const SOURCE = join(import.meta.dirname, "../../src");

const files = globSync("**/*.{ts,tsx}", { cwd: SOURCE });
const imports = files.flatMap((file) => importsOf(SOURCE, file));
const arrows = imports.filter(isArrow);

function roomOf(file: string): string | undefined {
  const rooms = Object.keys(ROOMS).filter((room) => file === room || file.startsWith(`${room}/`));
  return rooms.sort((a, b) => b.length - a.length)[0];
}

/** Returns whether an import crosses rooms. A wing shares the limits of the room around it. */
function isArrow({ from, to }: SourceImport): boolean {
  const isOwnLimits = basename(to) === "limits.ts" && from.startsWith(`${dirname(to)}/`);
  return roomOf(from) !== roomOf(to) && !isOwnLimits;
}

function nameOf({ from, to, isType }: SourceImport): string {
  return `${roomOf(from)} -> ${roomOf(to)}${isType ? " (types)" : ""}`;
}

function isAllowed({ from, to, isType }: SourceImport): boolean {
  const [source = "", target = ""] = [roomOf(from), roomOf(to)];
  const { uses = [], types = [] } = ROOMS[source] ?? {};
  const common = source === "api" ? [] : COMMON;
  return [...uses, ...common, ...(isType ? types : [])].includes(target);
}

test("every file belongs to a room", () => {
  expect(files.filter((file) => roomOf(file) === undefined)).toEqual([]);
  expect(Object.keys(ROOMS).filter((room) => !files.some((file) => roomOf(file) === room))).toEqual([]);
});

test("a room imports only rooms that test/house/arrows.ts allows", () => {
  const refused = arrows.filter((arrow) => !isAllowed(arrow));
  const lines = refused.map((arrow) => `${nameOf(arrow)}: src/${arrow.from} imports src/${arrow.to}`);
  expect([...new Set(lines)]).toEqual([]);
});

test("every arrow that test/house/arrows.ts allows is in use", () => {
  const used = arrows.map(nameOf);
  const allowed = Object.entries(ROOMS).flatMap(([room, { uses = [], types = [] }]) => [
    ...uses.map((target) => `${room} -> ${target}`),
    ...types.map((target) => `${room} -> ${target} (types)`),
  ]);
  expect(allowed.filter((arrow) => !used.includes(arrow))).toEqual([]);
});

const RIVETKIT = /^(rivetkit|@rivetkit\/.*)(\/|$)/;
const takers = files.filter((file) => packagesOf(SOURCE, file).some((name) => RIVETKIT.test(name)));

test("only the rooms that speak with RivetKit import it", () => {
  expect(takers.filter((file) => !/^(client\/)?rivet\//.test(file))).toEqual([]);
  expect(takers).toContain("rivet/rivetkit.ts");
});

test("no file of the runtime reaches RivetKit, not even its types", () => {
  const reached = new Set(files.filter((file) => file.startsWith("runtime/")));
  for (const file of reached) {
    for (const { from, to } of imports) if (from === file) reached.add(to);
  }
  expect(reached).toContain("api/limits.ts");
  expect(takers.filter((file) => reached.has(file))).toEqual([]);
});

test("rooms form no cycle", () => {
  expect(circles().map((circle) => circle.join(" <-> "))).toEqual([]);
});

/** Returns groups of rooms that all reach each other by imports that load code. */
function circles(): string[][] {
  const targets = new Map<string, Set<string>>();
  for (const { from, to, isType } of arrows) {
    const [source = "", target = ""] = [roomOf(from), roomOf(to)];
    if (!isType) targets.set(source, (targets.get(source) ?? new Set()).add(target));
  }
  const reach = (room: string, seen = new Set<string>()): Set<string> => {
    for (const next of targets.get(room) ?? []) {
      if (seen.has(next)) continue;
      seen.add(next);
      reach(next, seen);
    }
    return seen;
  };
  const reached = new Map([...targets.keys()].map((room) => [room, reach(room)]));
  const groups = [...reached].map(([room, seen]) =>
    [...seen].filter((other) => other === room || reached.get(other)?.has(room)).sort(),
  );
  return [...new Map(groups.map((group) => [group.join(), group])).values()].filter(
    ({ length }) => length > 1,
  );
}

test("the check finds packages", () => {
  expect(packagesOf(join(import.meta.dirname, "fixtures"), "imports.ts.txt")).toEqual([
    "node:fs",
    "rivetkit/client",
  ]);
});

test("the check finds each kind of import", () => {
  const found = importsOf(join(import.meta.dirname, "fixtures"), "imports.ts.txt");
  expect(found).toEqual([
    { from: "imports.ts.txt", to: "value.ts", isType: false },
    { from: "imports.ts.txt", to: "effect.ts", isType: false },
    { from: "imports.ts.txt", to: "type.ts", isType: true },
    { from: "imports.ts.txt", to: "inline-type.ts", isType: true },
    { from: "imports.ts.txt", to: "both.ts", isType: false },
    { from: "imports.ts.txt", to: "export.ts", isType: false },
    { from: "imports.ts.txt", to: "export-type.ts", isType: true },
    { from: "imports.ts.txt", to: "dynamic.ts", isType: false },
    { from: "imports.ts.txt", to: "type-of.ts", isType: true },
  ]);
});
