import { chmodSync } from "node:fs";
import { join } from "node:path";
import { makeFolder } from "../base/private-folder.ts";
import { storageFailed } from "../runtime/store/coded-store.ts";
import { ActorLife, type ActorRegister } from "./actor-life.ts";
import { openDataFolder } from "./data-format.ts";
import { type Driver, type DriverEvents, makeDriver } from "./driver.ts";
import { DriverAlarms } from "./driver-alarms.ts";
import { FirstValues } from "./first-values.ts";
import { guardManager, type ManagedActors } from "./guarded-manager.ts";
import { KvStorage } from "./kv-storage.ts";
import type { ManagerGuard } from "./manager-guard.ts";
import { createFileSystemDriver } from "./rivetkit.ts";

interface GuardedDriverOptions extends DriverEvents {
  guard: ManagerGuard;
  /** Folder of the actors' state, made for this user alone. @default RivetKit's own */
  dataDir: string | undefined;
  /**
   * Receives the folder of the actors' state, which no other server uses, before the first actor is loaded.
   *
   * @returns the notes about its actors
   */
  onFolder(path: string, life: Pick<ActorLife, "destroy" | "isStarting">): ActorRegister;
  /** Makes every awake actor recompute its alarms; called after the clock was set back. */
  ringAll(): void;
  /** Receives failures that no caller waits for. */
  onFailure(error: unknown): void;
}

/**
 * Puts RivetKit's file system driver behind a guard.
 *
 * For RivetKit 2.2, whose manager is open to everybody (`GET /actors` lists, `PUT /actors` creates, a gateway request
 * wakes an actor). Each of these asks the guard before RivetKit loads an actor.
 */
export function guardedDriver(options: GuardedDriverOptions): Driver {
  const { dataDir, guard } = options;
  let made: Driver | undefined;
  let taken: Taken | undefined;
  // Made on first use: the driver creates its folder at once, and importing a registry must write nothing.
  const inner = (): Driver => {
    if (made) return made;
    if (dataDir !== undefined) {
      makeFolder(dataDir);
      openDataFolder(dataDir);
    }
    const first = new FirstValues();
    made = first.within(() => createFileSystemDriver(dataDir === undefined ? {} : { path: dataDir }));
    taken = takeOver(made, first, options);
    return made;
  };
  const manage: Parameters<typeof makeDriver>[0]["manage"] = (config) => {
    // In development RivetKit redirects every client to 127.0.0.1, which is wrong for clients on other hosts.
    if (config.publicEndpoint === `http://127.0.0.1:${config.managerPort}`) config.publicEndpoint = undefined;
    const bare = inner().manager(config);
    if (taken?.actors === undefined) throw new Error("RivetKit's manager has made no driver of actors");
    const { actors } = taken;
    const nameOf = (actorId: string) => actors.nameOf(actorId)?.name;
    return { manager: guardManager(bare, guard, actors), nameOf };
  };
  const actor: Driver["actor"] = (config, manager, client) => inner().actor(config, manager, client);
  return makeDriver({ hasActors: true, actor, manage }, options);
}

interface Taken {
  /** `undefined` until RivetKit has made the first driver of actors. */
  actors: ManagedActors | undefined;
}

/**
 * Puts alarms, storage and the life of actors of our own into a driver. Changes the driver in place, because its manager
 * makes another driver of actors from this object.
 */
function takeOver(
  driver: Driver,
  first: FirstValues,
  { dataDir, ringAll, onFolder, onFailure }: GuardedDriverOptions,
): Taken {
  const makeActorDriver = driver.actor;
  const taken: Taken = { actors: undefined };
  let ours: { alarms: DriverAlarms; storage: KvStorage; life: ActorLife } | undefined;
  const open = (storagePath: string) => {
    // RivetKit lets every user of the host read the folder that it chooses itself.
    if (dataDir === undefined) chmodSync(storagePath, 0o700);
    openDataFolder(storagePath);
    const storage = new KvStorage(storagePath, first);
    const register = onFolder(storagePath, {
      destroy: (actorId) => life.destroy(actorId),
      isStarting: (actorId) => life.isStarting(actorId),
    });
    const life = new ActorLife(register, storage, onFailure);
    taken.actors = {
      nameOf: (actorId) => register.nameOf(actorId),
      deletionOf: (actorId) => register.deletionOf(actorId),
      destroy: (actorId) => life.destroy(actorId),
      async prepare(actor) {
        register.admit(actor);
        try {
          return await storage.prepare(actor.actorId);
        } catch (error) {
          await life.destroy(actor.actorId).catch(() => undefined);
          throw storageFailed("The database of a new VM could not be made", error);
        }
      },
    };
    return { alarms: new DriverAlarms(join(storagePath, "alarms"), ringAll), storage, life };
  };
  driver.actor = (config, manager, client) => {
    const actorDriver = makeActorDriver(config, manager, client);
    const { storagePath } = actorDriver as { storagePath?: unknown };
    if (typeof storagePath !== "string") return actorDriver;
    ours ??= open(storagePath);
    return ours.life.takeOver(ours.storage.takeOver(ours.alarms.takeOver(actorDriver)));
  };
  return taken;
}
