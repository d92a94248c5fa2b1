// @module-tag slow
import { Runner } from "@rivetkit/engine-runner";
import { onTestFinished, test } from "vitest";
import { repeatLostRequests } from "../../src/rivet/runner-repairs.ts";
import { startEngine } from "../support/engine.ts";

/** Requests of which some are under way when the engine is killed. */
const COUNT = 500;

test("requests to the storage that are under way when the engine is killed are answered by the next engine", async (context) => {
  // RivetKit gives requests up after this threshold, which the start of an engine exceeds on a busy machine.
  const engine = await startEngine(context, { RIVET__PEGBOARD__RUNNER_LOST_THRESHOLD: "60000" });
  repeatLostRequests(Runner.prototype);
  const connected = Promise.withResolvers<void>();
  const started = Promise.withResolvers<string>();
  const runner = new Runner({
    version: 1,
    endpoint: engine.endpoint,
    namespace: "default",
    totalSlots: 1,
    runnerName: "requests",
    prepopulateActorNames: {},
    noAutoShutdown: true,
    onConnected: connected.resolve,
    onDisconnected: () => undefined,
    onShutdown: () => undefined,
    fetch: async () => new Response(),
    websocket: async () => undefined,
    hibernatableWebSocket: { canHibernate: () => false },
    onActorStart: async (actorId) => started.resolve(actorId),
    onActorStop: async () => undefined,
  });
  onTestFinished(() => runner.shutdown(true));
  await runner.start();
  await connected.promise;
  const made = await fetch(`${engine.endpoint}/actors?namespace=default`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name: "requests", runner_name_selector: "requests", crash_policy: "sleep" }),
  });
  if (!made.ok) throw new Error(await made.text());
  const actorId = await started.promise;
  const key = new TextEncoder().encode("key");
  await runner.kvPut(actorId, [[key, key]]);
  const answers = Array.from({ length: COUNT }, () => runner.kvGet(actorId, [key]));
  await answers[0];
  await engine.restart();
  await Promise.all(answers);
});
