import { join } from "node:path";
import * as rivetkit from "rivetkit";
import { AgentVmError } from "../api/errors.ts";
import { Mutex } from "../runtime/mutex.ts";
import { type AccessPolicy, refusal } from "./access.ts";
import { limitBacklog } from "./backlog.ts";
import { holdDataFolder } from "./data-lock.ts";
import { DriverAlarms } from "./driver-alarms.ts";
import { userError } from "./errors.ts";
import { makeFolder } from "./folder.ts";
import { guardServer } from "./front-door.ts";
import { PreviewDoor } from "./preview-door.ts";

/** A driver as `createFileSystemDriver` makes it: where actors live, and what stands between them and the network. */
export type Driver = ReturnType<typeof rivetkit.createFileSystemDriver>;
type Manager = ReturnType<Driver["manager"]>;
type Context = Parameters<Manager["proxyRequest"]>[0];
type GetUpgrade = Parameters<Manager["setGetUpgradeWebSocket"]>[0];

export interface GuardOptions {
  policy: AccessPolicy;
  /** Whether actors of this name are VMs, whose previews have credentials of their own. */
  isVm(name: string): boolean;
  /** Folder of the actors' durable state, made for this user alone. @default RivetKit's own */
  dataDir?: string | undefined;
}

/** A refused WebSocket that does not close is cut after this long, in milliseconds. */
const REFUSAL_LINGER_MS = 1_000;

/** Ids of RivetKit's file system driver. Anything else could name a file outside the data folder. */
const ACTOR_ID = /^[\w-]{1,64}$/;

/**
 * RivetKit's file system driver behind the access policy. RivetKit leaves its manager open (`GET /actors` lists,
 * `PUT /actors` creates, a gateway request wakes an actor), so that every way in asks the policy here, before an
 * actor is loaded. Calls between actors of this process are let through by the policy's own secret.
 *
 * @returns `undefined` on RivetKit 2.3, which has no such driver: there its engine stands in front, and the actor's
 * own check applies.
 */
export function guardedDriver(options: GuardOptions): Driver | undefined {
  if (!("createFileSystemDriver" in rivetkit)) return undefined;
  let made: Driver | undefined;
  // Made late: the driver creates its folder at once, and a registry may be imported for its type alone.
  const inner = (): Driver => {
    if (made) return made;
    if (options.dataDir !== undefined) {
      makeFolder(options.dataDir);
      holdDataFolder(options.dataDir);
    }
    made = rivetkit.createFileSystemDriver(options.dataDir === undefined ? {} : { path: options.dataDir });
    keepAlarms(made);
    return made;
  };
  return {
    name: "agent-vm",
    displayName: "agent-vm",
    autoStartActorDriver: true,
    actor: (config, manager, client) => inner().actor(config, manager, client),
    manager: (config) => {
      limitBacklog(() => config.managerPort);
      const previews = new PreviewDoor({
        policy: options.policy,
        nameOf: async (actorId) => (await guardedManager.getForId({ name: "", actorId }))?.name,
        isVm: options.isVm,
        send: (actorId, request) => guardedManager.sendRequest(actorId, request),
      });
      guardServer(() => config.managerPort, options.policy, previews);
      // In development RivetKit sends every client on to 127.0.0.1, which is wrong for those on another host.
      if (config.publicEndpoint === `http://127.0.0.1:${config.managerPort}`)
        config.publicEndpoint = undefined;
      const guardedManager = guard(inner().manager(config), options.policy);
      return guardedManager;
    },
  };
}

/** Changes the driver in place: its manager makes its actors' driver from this very object. */
function keepAlarms(driver: Driver): void {
  const makeActorDriver = driver.actor;
  let alarms: DriverAlarms | undefined;
  driver.actor = (config, manager, client) => {
    const actorDriver = makeActorDriver(config, manager, client);
    const { storagePath } = actorDriver as { storagePath?: unknown };
    if (typeof storagePath !== "string") return actorDriver;
    holdDataFolder(storagePath);
    alarms ??= new DriverAlarms(join(storagePath, "alarms"));
    return alarms.takeOver(actorDriver);
  };
}

/** Changes the manager in place: the driver's own client, which actors get as `c.client()`, holds this very object. */
function guard(manager: Manager, policy: AccessPolicy): Manager {
  const inner = bound(manager);
  const creations = new Mutex();
  let getUpgrade: GetUpgrade | undefined;

  const refused = (c: Context | undefined, params?: unknown): AgentVmError | undefined =>
    c && refusal(policy, { header: (name) => c.req.header(name), path: c.req.path, params, external: true });
  /** A method whose input says which request it serves, if any. */
  const guarded =
    <Input extends { c?: Context | undefined }, Output>(method: (input: Input) => Promise<Output>) =>
    async (input: Input): Promise<Output> => {
      const error = refused(input.c);
      if (error) throw userError(error);
      return await method(input);
    };

  return Object.assign(manager, {
    getForId: guarded(async (input: Parameters<Manager["getForId"]>[0]) =>
      ACTOR_ID.test(input.actorId) ? await inner.getForId(input) : undefined,
    ),
    getWithKey: guarded(inner.getWithKey),
    getOrCreateWithKey: guarded(inner.getOrCreateWithKey),
    createActor: guarded((input: Parameters<Manager["createActor"]>[0]) =>
      creations.run(async () => {
        // RivetKit would make a new actor of a key whose actor it has not loaded yet, and so forget the old one.
        await inner.getWithKey(input);
        return await inner.createActor(input);
      }),
    ),
    listActors: guarded(inner.listActors),

    async proxyRequest(c: Context, request: Request, actorId: string): Promise<Response> {
      const error = refused(c);
      if (error) throw userError(error);
      if (!ACTOR_ID.test(actorId)) return c.text("Not Found", 404);
      return await inner.proxyRequest(c, vouchFor(request, policy), actorId);
    },
    async proxyWebSocket(...args: Parameters<Manager["proxyWebSocket"]>): Promise<Response> {
      const [c, , actorId, , params] = args;
      const error = refused(c, params);
      if (error) return await closeAtOnce(c, getUpgrade, `user.${error.code}`);
      if (!ACTOR_ID.test(actorId)) return await closeAtOnce(c, getUpgrade, "actor.not_found");
      return await inner.proxyWebSocket(...args);
    },
    setGetUpgradeWebSocket(get: GetUpgrade): void {
      getUpgrade = get;
      inner.setGetUpgradeWebSocket(get);
    },

    // Calls within the process are the server's own; the actor asks for a token all the same.
    sendRequest: (actorId: string, request: Request) => inner.sendRequest(actorId, vouchFor(request, policy)),
    openWebSocket(...[path, actorId, encoding, params]: Parameters<Manager["openWebSocket"]>) {
      const given = typeof params === "object" && params !== null ? params : {};
      return inner.openWebSocket(path, actorId, encoding, { ...given, token: policy.secret });
    },

    // RivetKit leaves it open in development, whatever the token.
    async kvGet(): Promise<never> {
      throw userError(new AgentVmError("unauthorized", "An actor's storage is not readable from outside"));
    },
  });
}

function bound(manager: Manager) {
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

/** Marks a request that the policy has let through. */
function vouchFor(request: Request, policy: AccessPolicy): Request {
  request.headers.set("x-rivet-token", policy.secret);
  return request;
}

/** A refused WebSocket is opened and closed with the reason, for only then does the other side learn it. */
async function closeAtOnce(
  c: Context,
  getUpgrade: GetUpgrade | undefined,
  reason: string,
): Promise<Response> {
  const upgrade = getUpgrade?.();
  if (!upgrade) return c.text(reason, 403);
  const closing = upgrade(() => ({
    onOpen(_event: unknown, socket: ServerSocket) {
      socket.close(1011, reason);
      // One that does not say goodbye in turn could go on sending for half a minute.
      setTimeout(() => socket.raw?.terminate?.(), REFUSAL_LINGER_MS).unref();
    },
  }));
  return (await closing(c, rivetkit.noopNext())) ?? c.text(reason, 403);
}

/** A WebSocket as Hono hands it out on Node. */
interface ServerSocket {
  close(code: number, reason: string): void;
  raw?: { terminate?(): void };
}
