import { Runner } from "@rivetkit/engine-runner";
import { onTestFinished } from "vitest";
import type { Engine } from "./engine.ts";
import { until } from "./until.ts";

type RunnerOptions = ConstructorParameters<typeof Runner>[0];

/**
 * Makes RivetKit's runner, which shuts down when the test ends.
 *
 * @param Kind the class of the runner. @default RivetKit's
 */
export function newRunner(
  { endpoint }: Pick<Engine, "endpoint">,
  options: Partial<RunnerOptions> = {},
  Kind: typeof Runner = Runner,
): Runner {
  const runner = new Kind({
    version: 1,
    endpoint,
    namespace: "default",
    totalSlots: 1,
    runnerName: "requests",
    prepopulateActorNames: {},
    noAutoShutdown: true,
    onConnected: () => undefined,
    onDisconnected: () => undefined,
    onShutdown: () => undefined,
    fetch: async () => new Response(),
    websocket: async () => undefined,
    hibernatableWebSocket: { canHibernate: () => false },
    onActorStart: async () => undefined,
    onActorStop: async () => undefined,
    ...options,
  });
  onTestFinished(() => runner.shutdown(true));
  return runner;
}

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
  const onActorStart = async (id: string) => started.resolve(id);
  const runner = newRunner(engine, { onConnected: connected.resolve, onActorStart }, Kind);
  await runner.start();
  await connected.promise;
  // The engine knows the name of a runner shortly after the runner is connected. A request in its first moments may wait for minutes.
  const make = () =>
    fetch(`${engine.endpoint}/actors?namespace=default`, {
      method: "POST",
      signal: AbortSignal.timeout(5_000),
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: "requests", runner_name_selector: "requests", crash_policy: "sleep" }),
    });
  const made = () =>
    make().then(
      ({ ok }) => ok,
      () => false,
    );
  // The answer to an actor that has started may come too late, and the runner has no room for another.
  const hasStarted = started.promise.then(() => true);
  await until(() => Promise.race([hasStarted, made()]));
  return { runner, actorId: await started.promise };
}
