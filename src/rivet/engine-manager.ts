import { vmStopped } from "../api/errors.ts";
import type { Manager } from "./driver.ts";
import {
  admitterOf,
  type Context,
  closeAtOnce,
  coded,
  type GetUpgrade,
  guardedReads,
  keyAdmitterOf,
  type ManagerGuard,
  MOVED,
  reasonOf,
  type Visitor,
  withoutStoredHeaders,
} from "./manager-guard.ts";
import { actorGone, userError } from "./user-error.ts";

interface ActorName {
  name: string;
  key: readonly string[];
}

/** The actors of all servers behind an engine. */
export interface EngineStore {
  /** Finds an actor by its id. */
  look(actorId: string): Promise<ActorName | undefined>;
  /** Finds the id of a key's actor. */
  find(actor: ActorName): Promise<string | undefined>;
  /** Makes an actor. @param method `PUT` also returns the actor that has the key already */
  make(method: "POST" | "PUT", actor: ActorName & { input?: unknown }): Promise<string>;
  /** Why an actor did not start. */
  failureOf(actorId: string): Promise<unknown>;
  /** Makes sure that an actor runs in this process. @returns whether it does */
  wakeHere(actorId: string): Promise<boolean>;
}

/**
 * Makes a manager route requests to the actors that run in this process, and ask an engine for everything else. Changes the
 * manager in place.
 *
 * For RivetKit 2.2, whose own manager for an engine sends each request back to the engine, which collects bodies. Actors that
 * are no VMs and run elsewhere are still reached in that way.
 *
 * @param remote RivetKit's manager for an engine
 * @param direct receives the requests of WebSockets that come without the engine
 */
export function guardEngineManager(
  manager: Manager,
  remote: Manager,
  guard: ManagerGuard,
  store: EngineStore,
  direct: WeakSet<object>,
): Manager {
  const sendRequest = manager.sendRequest.bind(manager);
  const proxyRequest = manager.proxyRequest.bind(manager);
  const proxyWebSocket = manager.proxyWebSocket.bind(manager);
  const setGetUpgradeWebSocket = manager.setGetUpgradeWebSocket.bind(manager);
  const admit = admitterOf(guard);
  const admitKey = keyAdmitterOf(guard);
  let getUpgrade: GetUpgrade | undefined;

  /** @throws UserError if the sender does not reach the actor */
  const reached = async (visitor: Visitor, actorId: string): Promise<ActorName> => {
    const found = await coded(() => store.look(actorId));
    if (found === undefined || !visitor.reaches(actorId)) throw actorGone(actorId);
    return found;
  };

  const make = (method: "POST" | "PUT") => async (input: Parameters<Manager["createActor"]>[0]) => {
    await admitKey("create", input);
    const { name, key, c } = input;
    await coded(async () => guard.checkInput(name, input.input, { isOwn: c === undefined }));
    const actorId = await coded(() => store.make(method, { name, key, input: input.input }));
    return { actorId, name, key };
  };

  return Object.assign(manager, {
    async getForId({ c, name, actorId }: Parameters<Manager["getForId"]>[0]) {
      const visitor = await admit(c);
      const found = await coded(() => store.look(actorId));
      if (found?.name !== name || !visitor.reaches(actorId)) return undefined;
      return { actorId, name, key: [...found.key], error: await coded(() => store.failureOf(actorId)) };
    },
    async getWithKey(input: Parameters<Manager["getWithKey"]>[0]) {
      await admitKey("lookUp", input);
      const { name, key } = input;
      const actorId = await coded(() => store.find({ name, key }));
      return actorId === undefined ? undefined : { actorId, name, key };
    },
    getOrCreateWithKey: make("PUT"),
    createActor: make("POST"),
    ...guardedReads(guard, (input) => remote.listActors(input)),

    async proxyRequest(c: Context, request: Request, actorId: string): Promise<Response> {
      const visitor = await admit(c);
      await reached(visitor, actorId);
      visitor.vouch(request);
      if (await coded(() => store.wakeHere(actorId))) return await proxyRequest(c, request, actorId);
      if (guard.isVm(actorId)) throw userError(vmStopped());
      return await remote.proxyRequest(c, request, actorId);
    },
    async proxyWebSocket(...args: Parameters<Manager["proxyWebSocket"]>): Promise<Response> {
      const [c, path, actorId, encoding, params] = args;
      try {
        const visitor = await admit(c, params);
        await reached(visitor, actorId);
        visitor.vouch(c.req.raw);
        const isHere = await coded(() => store.wakeHere(actorId));
        if (!isHere && !guard.isVm(actorId)) return await remote.proxyWebSocket(...args);
        if (!isHere) throw userError(vmStopped());
      } catch (error) {
        const { group, code } = Object(error) as { group?: string; code?: string };
        const isRivets = group !== undefined && group !== "user";
        return await closeAtOnce(c, getUpgrade, isRivets ? `${group}.${code}` : reasonOf(error));
      }
      direct.add(c.req.raw);
      if (!guard.isVm(actorId)) return await proxyWebSocket(...args);
      return await proxyWebSocket(withoutStoredHeaders(c), path, actorId, encoding, undefined);
    },
    setGetUpgradeWebSocket(get: GetUpgrade): void {
      getUpgrade = get;
      remote.setGetUpgradeWebSocket(get);
      setGetUpgradeWebSocket(get);
    },
    async sendRequest(actorId: string, request: Request): Promise<Response> {
      if (!(await store.wakeHere(actorId))) return new Response(null, { status: MOVED });
      guard.own.vouch(request);
      return await sendRequest(actorId, request);
    },
    openWebSocket: remote.openWebSocket.bind(remote),
  });
}
