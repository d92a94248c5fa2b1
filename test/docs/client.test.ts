import { expect, test } from "vitest";
import { LONG_METHODS } from "../../src/api/methods/facts.ts";
import { TRANSPORT_METHODS } from "../../src/api/methods/transport.ts";
import { readDocument } from "./blocks.ts";

/** Methods of the client alone, each with the method that it calls. */
const PARTS = { run: "startRun", runArgv: "startRun", attach: "followProcess" };

test("docs/client.md lists every method that goes over a connection", () => {
  const [, list = ""] = /the last one: (.*?)\. While it is open/s.exec(readDocument("docs/client.md")) ?? [];
  const listed = [...list.matchAll(/`(\w+)`/g)].map(([, name = ""]) => name);
  const isDocumented = (name: string) => !Object.hasOwn(TRANSPORT_METHODS, name);
  expect(listed.sort()).toEqual([...LONG_METHODS].filter(isDocumented).concat(Object.keys(PARTS)).sort());
  expect(Object.values(PARTS).filter((name) => !LONG_METHODS.has(name))).toEqual([]);
});
