import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { METHODS } from "../../src/api/methods/table.ts";
import { TRANSPORT_METHODS } from "../../src/api/methods/transport.ts";
import { ROOT, readDocument } from "./blocks.ts";

test("docs/from-agentos.md names every method that agentOS does not have", () => {
  const theirs = readFileSync(join(ROOT, "test/types/rc3.ts"), "utf8");
  const page = readDocument("docs/from-agentos.md");
  const documented = Object.keys(METHODS).filter((name) => !Object.hasOwn(TRANSPORT_METHODS, name));
  const added = documented.filter((name) => !new RegExp(`^  ${name}\\(`, "m").test(theirs));
  expect(added.length).toBeGreaterThan(50);
  expect(added.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});
