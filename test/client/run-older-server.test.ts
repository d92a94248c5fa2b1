import { expect, test } from "vitest";
import { AgentVmError } from "../../src/api/errors.ts";
import { run } from "../../src/client/run.ts";
import { failure } from "../support/until.ts";

/** Runs a command on a server that answers `startRun` with `started`, and then fails. Returns the later calls and the error. */
async function failing(started: object, code: "call_lost" | "connection_lost") {
  const calls: unknown[][] = [];
  const invoke = async (action: string, args: unknown[]) => {
    if (action === "startRun") return started;
    calls.push([action, ...args]);
    if (action === "followProcess") throw new AgentVmError(code, "The server has failed");
    return undefined;
  };
  return { error: await failure(run(invoke, "true", null)), calls };
}

const QUESTION = { after: -1, waitMs: expect.any(Number), hold: true };

test("an older server gets no startedAt, and no kill after a lost call", async () => {
  const { error, calls } = await failing({ pid: 7 }, "call_lost");
  expect(error).toMatchObject({ code: "call_lost" });
  expect(calls).toEqual([["followProcess", 7, QUESTION]]);
  const cut = await failing({ pid: 7 }, "connection_lost");
  expect(cut.calls.slice(1)).toEqual([["killProcess", 7, { tree: true }]]);
});

test("a kill after a lost call names the start of the command", async () => {
  const { error, calls } = await failing({ pid: 7, startedAt: 5 }, "call_lost");
  expect(error).toMatchObject({ code: "call_lost" });
  expect(calls).toEqual([
    ["followProcess", 7, { ...QUESTION, startedAt: 5 }],
    ["killProcess", 7, { tree: true, startedAt: 5 }],
  ]);
});
