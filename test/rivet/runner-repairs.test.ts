// @module-tag slow
import { Runner } from "@rivetkit/engine-runner";
import { test } from "vitest";
import { repeatLostRequests } from "../../src/rivet/runner-repairs.ts";
import { startEngine } from "../support/engine.ts";
import { startRunner } from "../support/engine-runner.ts";

/** Requests of which some are under way when the engine is killed. */
const COUNT = 500;

test("requests to the storage that are under way when the engine is killed are answered by the next engine", async (context) => {
  // RivetKit gives requests up after this threshold, which the start of an engine exceeds on a busy machine.
  const engine = await startEngine(context, { RIVET__PEGBOARD__RUNNER_LOST_THRESHOLD: "60000" });
  repeatLostRequests(Runner.prototype);
  const { runner, actorId } = await startRunner(engine);
  const key = new TextEncoder().encode("key");
  await runner.kvPut(actorId, [[key, key]]);
  const answers = Array.from({ length: COUNT }, () => runner.kvGet(actorId, [key]));
  await answers[0];
  await engine.restart();
  await Promise.all(answers);
});
