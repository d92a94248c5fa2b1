import type { StoredActor } from "./actor-files.ts";
import { type ActorRegister, storageErrorOf } from "./actor-life.ts";
import type { Manager } from "./driver.ts";
import { actorIdOf } from "./kv-storage.ts";
import {
  admitterOf,
  type Context,
  closeAtOnce,
  coded,
  type GetUpgrade,
  guardedReads,
  type KeyRequest,
  keyAdmitterOf,
  type ManagerGuard,
  reasonOf,
  type Visitor,
  withoutStoredHeaders,
} from "./manager-guard.ts";
import { actorGone } from "./user-error.ts";

/** The actors of the manager's data folder. */
export interface ManagedActors extends Pick<ActorRegister, "nameOf" | "deletionOf"> {
  /** Prepares for an actor that may be made. @returns whether it is new. @throws AgentVmError to refuse it */
  prepare(actor: Omit<StoredActor, "createdAt">): Promise<boolean>;
  destroy(actorId: string): Promise<void>;
}

/**
 * Makes a manager ask the guard before it does anything. Changes the manager in place, because the client that actors
 * get as `c.client()` keeps this object.
 *
 * For RivetKit 2.2's manager. Also repairs `createActor`, which would replace an actor that is not loaded, and closes
 * `kvGet`, which RivetKit leaves open in development.
 */
export function guardManager(manager: Manager, guard: ManagerGuard, actors: ManagedActors): Manager {
  const inner = boundMethods(manager);
  /** Calls under way, by the actor's id. */
  const running = new Map<string, Promise<unknown>>();
  /** Actors that are being made. A request by id, which could start one half made, waits. */
  const newborn = new Map<string, Promise<void>>();
  let getUpgrade: GetUpgrade | undefined;

  const admit = admitterOf(guard);
  const admitKey = keyAdmitterOf(guard);

  /**
   * Admits calls for a key. Calls for one key take turns: RivetKit hands out a new actor before its first values are written, and such an
   * actor does not start. A call waits while the key's old actor is being deleted.
   */
  const keyed =
    <Input extends KeyRequest, Output>(
      need: "lookUp" | "create",
      method: (input: Input, actorId: string) => Promise<Output>,
    ) =>
    async (input: Input): Promise<Output> => {
      await admitKey(need, input);
      const id = actorIdOf(input.name, input.key);
      for (;;) {
        const call = running.get(id);
        const deletion = call === undefined ? actors.deletionOf(id) : undefined;
        if (call !== undefined) await call.catch(() => undefined);
        else if (deletion !== undefined) await coded(() => deletion);
        else break;
      }
      const result = method(input, id).finally(() => running.delete(id));
      running.set(id, result);
      try {
        return await result;
      } catch (error) {
        throw storageErrorOf(error) ?? error;
      }
    };

  /** Runs a method that may make an actor. An actor whose creation has failed is deleted again. */
  const creating = async <Output>(
    { name, key, input, c }: { name: string; key: string[]; input?: unknown; c?: Context | undefined },
    actorId: string,
    create: () => Promise<Output>,
  ): Promise<Output> => {
    const settled = Promise.withResolvers<void>();
    const settle = () => {
      newborn.delete(actorId);
      settled.resolve();
    };
    newborn.set(actorId, settled.promise);
    let isNew = false;
    try {
      isNew = await coded(async () => {
        guard.checkInput(name, input, { isOwn: c === undefined });
        return await actors.prepare({ actorId, name, key });
      });
      if (!isNew) settle();
      return await create();
    } catch (error) {
      if (isNew) await actors.destroy(actorId).catch(() => undefined);
      throw error;
    } finally {
      settle();
    }
  };

  return Object.assign(manager, {
    async getForId(input: Parameters<Manager["getForId"]>[0]) {
      const visitor = await admit(input.c);
      // RivetKit remembers every id that it is asked for.
      const isFound = actors.nameOf(input.actorId) !== undefined && visitor.reaches(input.actorId);
      return isFound ? await inner.getForId(input) : undefined;
    },
    getWithKey: keyed("lookUp", inner.getWithKey),
    getOrCreateWithKey: keyed("create", (input: Parameters<Manager["getOrCreateWithKey"]>[0], id) =>
      creating(input, id, () => inner.getOrCreateWithKey(input)),
    ),
    createActor: keyed("create", (input: Parameters<Manager["createActor"]>[0], id) =>
      creating(input, id, async () => {
        // Loads the key's actor. RivetKit would otherwise make a new actor for the key and forget the old actor.
        await inner.getWithKey(input);
        return await inner.createActor(input);
      }),
    ),
    ...guardedReads(guard, inner.listActors),

    async proxyRequest(c: Context, request: Request, actorId: string): Promise<Response> {
      const visitor = await admit(c);
      if (actors.nameOf(actorId) === undefined || !visitor.reaches(actorId)) throw actorGone(actorId);
      await newborn.get(actorId);
      visitor.vouch(request);
      return await inner.proxyRequest(c, request, actorId);
    },
    async proxyWebSocket(...args: Parameters<Manager["proxyWebSocket"]>): Promise<Response> {
      const [c, , actorId, , params] = args;
      let visitor: Visitor;
      try {
        visitor = await admit(c, params);
      } catch (error) {
        return await closeAtOnce(c, getUpgrade, reasonOf(error));
      }
      const isFound = actors.nameOf(actorId) !== undefined && visitor.reaches(actorId);
      if (!isFound) return await closeAtOnce(c, getUpgrade, "actor.not_found");
      await newborn.get(actorId);
      visitor.vouch(c.req.raw);
      if (!guard.isVm(actorId)) return await inner.proxyWebSocket(...args);
      const [, path, , encoding] = args;
      return await inner.proxyWebSocket(withoutStoredHeaders(c), path, actorId, encoding, undefined);
    },
    setGetUpgradeWebSocket(get: GetUpgrade): void {
      getUpgrade = get;
      inner.setGetUpgradeWebSocket(get);
    },

    // Calls between actors of this process are the server's own, but the called actor asks for a token.
    async sendRequest(actorId: string, request: Request) {
      await newborn.get(actorId);
      guard.own.vouch(request);
      return await inner.sendRequest(actorId, request);
    },
    async openWebSocket(...[path, actorId, encoding, params]: Parameters<Manager["openWebSocket"]>) {
      await newborn.get(actorId);
      const given = typeof params === "object" && params !== null ? params : {};
      return await inner.openWebSocket(path, actorId, encoding, { ...given, token: guard.secret });
    },
  });
}

function boundMethods(manager: Manager) {
  return {
    getForId: manager.getForId.bind(manager),
    getWithKey: manager.getWithKey.bind(manager),
    getOrCreateWithKey: manager.getOrCreateWithKey.bind(manager),
    createActor: manager.createActor.bind(manager),
    listActors: manager.listActors.bind(manager),
    sendRequest: manager.sendRequest.bind(manager),
    openWebSocket: manager.openWebSocket.bind(manager),
    proxyRequest: manager.proxyRequest.bind(manager),
    proxyWebSocket: manager.proxyWebSocket.bind(manager),
    setGetUpgradeWebSocket: manager.setGetUpgradeWebSocket.bind(manager),
  };
}
