// @module-tag attack
import { expect, test } from "vitest";
import { type AgentVmError, actorTypeNotFound } from "../../src/api/errors.ts";
import { parseArgs } from "../../src/api/methods/parse.ts";
import { canonicalHost, parseNetworkRule, parseSecretHost } from "../../src/api/network-rule.ts";
import { testRows } from "../support/rows.ts";

const LONG = "k".repeat(1_000_000);

function refusalOf(work: () => unknown): AgentVmError {
  try {
    work();
  } catch (error) {
    return error as AgentVmError;
  }
  throw new Error("It was not refused");
}

const refused: [name: string, work: () => unknown][] = [
  ["an unknown option", () => parseArgs("exec", ["true", { [LONG]: 1 }])],
  ["the name of a variable", () => parseArgs("exec", ["true", { env: { [`${LONG}=`]: "" } }])],
  ["the name of a label", () => parseArgs("setLabels", [{ [LONG]: "value" }])],
  ["the name of a secret", () => parseArgs("setSecrets", [{ [LONG]: {} }])],
  ["a limit", () => parseArgs("setLimits", [{ [LONG]: 1 }])],
  ["a rule", () => parseArgs("setNetworkPolicy", [{ outbound: { allow: [LONG] } }])],
  [
    "the name of an actor",
    () => {
      throw actorTypeNotFound(LONG, ["vm"]);
    },
  ],
];

testRows(refused, 7)("an error shows the beginning of %s of a megabyte", async (_, work) => {
  const { message, metadata } = refusalOf(work);
  expect(JSON.stringify([message, metadata]).length).toBeLessThan(2_000);
});

test("a host of a megabyte is none, without a look at it", () => {
  const cpu = process.cpuUsage();
  for (let count = 0; count < 100; count++)
    for (const host of [LONG, `*.${LONG}`, `${LONG}:1`, `[${LONG}]:443`, `https://${LONG}`])
      expect([canonicalHost(host), parseNetworkRule(host), parseSecretHost(host)]).toEqual([
        undefined,
        undefined,
        undefined,
      ]);
  const { user, system } = process.cpuUsage(cpu);
  expect((user + system) / 1000).toBeLessThan(1_000);
});
