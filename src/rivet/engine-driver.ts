import { type Driver, type DriverEvents, makeDriver } from "./driver.ts";
import { type EngineStore, guardEngineManager } from "./engine-manager.ts";
import type { ManagerGuard } from "./manager-guard.ts";
import {
  createClientWithDriver,
  createEngineDriver,
  createMemoryDriver,
  RUNNER_PROTOTYPE,
} from "./rivetkit.ts";
import { withRunnerMetadata } from "./runner-metadata.ts";
import { SERVICE_POOL, SERVICE_SLOTS } from "./service-pool.ts";

/** A Rivet Engine, and what a server needs to speak with it. */
interface EngineAddress {
  endpoint: string;
  namespace: string;
  token: string | undefined;
}

export interface EngineDriverOptions extends DriverEvents {
  guard: ManagerGuard;
  engine: EngineAddress;
  store: Omit<EngineStore, "wakeHere"> & {
    /** Wakes an actor, on whichever server. @returns whether it is this one */
    wake(actorId: string): Promise<boolean>;
  };
  /** Facts about this server that the engine tells the others. */
  metadata: Record<string, unknown>;
  /** Whether this server runs actors. */
  hasActors: boolean;
  /** Actors that find a place on full servers, too. They are made in SERVICE_POOL. @default none */
  services?: Record<string, object> | undefined;
  /** Finds the name of an actor that `look` has found. */
  nameOf(actorId: string): string | undefined;
}

/** The actors that run in this process. */
export interface LocalActors {
  /** Finds an actor that runs in this process, once it has started. */
  here(actorId: string): Promise<{ name: string; key: readonly string[] } | undefined>;
}

type ActorDriver = ReturnType<Driver["actor"]>;
type Config = Parameters<Driver["actor"]>[0];

/** The part of RivetKit's actor that this file changes. */
interface StartedActor {
  name: string;
  key: readonly string[];
  connectionManager: { prepareConn(...args: unknown[]): Promise<unknown> };
}

/** Places of arguments of `prepareConn`. */
const CONNECTION_DRIVER = 0;
const REQUEST = 2;
const MAY_HIBERNATE = 5;

/**
 * Makes the driver of a server behind a Rivet Engine that answers clients itself: actors run for the engine, and RivetKit's
 * HTTP server brings requests to them without the engine.
 *
 * For RivetKit 2.2. It combines three of its public drivers: the engine's driver of actors, the memory driver's manager, which
 * routes requests to actors of this process, and the engine's manager.
 */
export function engineDriver(options: EngineDriverOptions): { driver: Driver; local: LocalActors } {
  const { guard, engine, store, metadata, hasActors, services, nameOf } = options;
  const engineDrivers = createEngineDriver();
  const memory = createMemoryDriver();
  const makeIdle = memory.actor;
  const direct = new WeakSet<object>();
  const changed = new WeakSet<object>();
  let actors: ActorDriver | undefined;
  const behind = (config: Config): Config => ({ ...config, ...engine });

  const start: Driver["actor"] = (config, manager, client) => {
    if (actors !== undefined) return actors;
    if (!hasActors) {
      actors = makeIdle(config, manager, client);
      return actors;
    }
    // Actors reach each other through the engine.
    const remote = engineDrivers.manager(behind(config));
    const run = (own: Partial<Config>) =>
      engineDrivers.actor({ ...behind(config), ...own }, remote, createClientWithDriver(remote));
    const inner = withRunnerMetadata(RUNNER_PROTOTYPE, metadata, () => run({}));
    // RivetKit shuts runners down one after another, in the order of their starts: VMs first.
    if (services !== undefined) {
      const runner = { ...config.runner, runnerName: SERVICE_POOL, totalSlots: SERVICE_SLOTS };
      run({ use: services as Config["use"], runner });
    }
    const loadActor = inner.loadActor.bind(inner);
    actors = Object.assign(inner, {
      async loadActor(actorId: string) {
        const actor = await loadActor(actorId);
        if (!changed.has(actor)) {
          changed.add(actor);
          endWithActor(actor as unknown as StartedActor, direct);
        }
        return actor;
      },
    });
    return actors;
  };
  memory.actor = start;

  const local: LocalActors = {
    async here(actorId) {
      if (!hasActors || actors === undefined) return undefined;
      try {
        const { name, key } = (await actors.loadActor(actorId)) as unknown as StartedActor;
        return { name, key };
      } catch {
        return undefined;
      }
    },
  };
  const wakeHere = async (actorId: string) =>
    (await local.here(actorId)) !== undefined ||
    ((await store.wake(actorId)) && (await local.here(actorId)) !== undefined);

  const manage = (config: Config) => {
    const inner = memory.manager(config);
    const remote = engineDrivers.manager(behind(config));
    return { manager: guardEngineManager(inner, remote, guard, { ...store, wakeHere }, direct), nameOf };
  };
  return { driver: makeDriver({ hasActors, actor: start, manage }, options), local };
}

/** Makes the connections that came without the engine end with the actor. The engine could not restore them. */
function endWithActor({ connectionManager }: StartedActor, direct: WeakSet<object>): void {
  const prepare = connectionManager.prepareConn.bind(connectionManager);
  connectionManager.prepareConn = (...args) => {
    const request = args[REQUEST];
    if (typeof request === "object" && request !== null && direct.has(request)) {
      Object.assign(args[CONNECTION_DRIVER] as object, { hibernatable: undefined });
      args[MAY_HIBERNATE] = false;
    }
    return prepare(...args);
  };
}
