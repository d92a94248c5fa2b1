import { Runner } from "@rivetkit/engine-runner";
import { onTestFinished } from "vitest";
import type { Engine } from "./engine.ts";
import { until } from "./until.ts";

/**
 * Starts RivetKit's runner with one actor, until the test ends.
 *
 * @param Kind the class of the runner. @default RivetKit's
 */
export async function startRunner(
  engine: Engine,
  Kind: typeof Runner = Runner,
): Promise<{ runner: Runner; actorId: string }> {
  const connected = Promise.withResolvers<void>();
  const started = Promise.withResolvers<string>();
  const runner = new Kind({
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
  // The engine knows the name of a runner shortly after the runner is connected.
  const make = () =>
    fetch(`${engine.endpoint}/actors?namespace=default`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: "requests", runner_name_selector: "requests", crash_policy: "sleep" }),
    });
  await until(async () => (await make()).ok);
  return { runner, actorId: await started.promise };
}
