import { randomUUID } from "node:crypto";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { actorNamedBy } from "../api/gateway-path.ts";
import { serverOf } from "../client/rivet/config.ts";
import { checkQuota, type Quota } from "../directory/quota.ts";
import { type ReplacedIndex, VmDirectory } from "../directory/vm-directory.ts";
import { checkAudit } from "../monitoring/audit.ts";
import { assertNotDraining, onDraining } from "../monitoring/draining.ts";
import { Metrics } from "../monitoring/metrics.ts";
import { Monitor } from "../monitoring/monitor.ts";
import type { ActorLife } from "../rivet/actor-life.ts";
import { limitBacklog } from "../rivet/client-backlog.ts";
import type { Actors as ServedActors } from "../rivet/driver.ts";
import { guardedDriver } from "../rivet/guarded-driver.ts";
import { rivetLogger } from "../rivet/log.ts";
import type { ManagerGuard } from "../rivet/manager-guard.ts";
import {
  engineOf,
  makeRegistry,
  type Registry,
  type RegistryActors,
  type RivetOptions,
} from "../rivet/registry.ts";
import { logRivetRejections } from "../rivet/rejections.ts";
import { errorOf } from "../rivet/user-error.ts";
import { boundWebSockets } from "../rivet/web-sockets.ts";
import type { AccessRequest } from "./access.ts";
import { AccessControl, Visitor } from "./access-control.ts";
import type { VisitedActors } from "./actor-visits.ts";
import { sharedToken, warnOfOpenEngine } from "./behind-engine.ts";
import { type Grant, UNLIMITED } from "./grant.ts";
import { createLogger, rivetLevel, withSafeErrors } from "./logger.ts";
import { healthRoutes } from "./operations.ts";
import { checkPeers } from "./peers/options.ts";
import { Peering } from "./peers/peering.ts";
import { PreviewHosts } from "./preview-hosts.ts";
import { operatorRoutes, serverRoutes } from "./routes.ts";
import { serverHealth } from "./server-health.ts";
import { checkServerOptions, reachable, refuseUnknown, type ServerOptions } from "./server-options.ts";
import { keepSettings } from "./server-settings.ts";
import { Strangers } from "./strangers.ts";
import { checkedSecret, folderSecret } from "./tokens/secret.ts";
import { shareTokens } from "./tokens/shared/share-tokens.ts";
import { Tokens } from "./tokens/tokens.ts";
import { Tunnels } from "./tunnels/tunnels.ts";
import { bindVms, type VmBinding, vmsIn } from "./vm-binding.ts";

/** Options of `setup()`: agent-vm's own options, and RivetKit's options that agent-vm does not set itself. */
export type SetupOptions<Actors extends RegistryActors> = ServerOptions &
  RivetOptions<Actors> & {
    /** The actors to serve, by name. */
    use: Actors;
  };

/**
 * Makes a registry of actors: RivetKit's `setup()` with the defaults that a server of virtual machines needs. The server
 * listens on loopback, requires the token on every route, has no inspector, and carries messages of up to 31 MiB.
 *
 * @returns RivetKit's registry, not started: pass it to `listen()`, or call its `start()`.
 * @throws AgentVmError `invalid_argument` for a host other than loopback without a token, and for an unknown option.
 * @example
 * ```ts
 * export const registry = setup({ use: { vm: vmActor() }, token: process.env.AGENT_VM_TOKEN });
 * registry.start();
 * ```
 */
export function setup<Actors extends RegistryActors>(options: SetupOptions<Actors>): Registry<Actors> {
  refuseUnknown(options);
  const {
    token,
    secret,
    authorize,
    host = "127.0.0.1",
    port = 6420,
    dataDir,
    allowedOrigins = [],
    publicUrl,
    previewDomain,
    logger = createLogger(),
    console: hasConsole = true,
    quota = {},
    audit,
    peers: peerOptions,
    vms: hasVms = true,
    ...rivetOptions
  } = options;
  const engine = engineOf(options);
  const behindEngine = engine !== undefined;
  checkQuota(quota);
  checkAudit(audit);
  const peers = checkPeers(peerOptions, { hasVms, behindEngine });
  const isGuarded = token !== undefined || authorize !== undefined;
  checkServerOptions(
    { token, isGuarded, host, port, allowedOrigins, publicUrl, previewDomain },
    behindEngine && !peers,
  );
  const chosenSecret = secret === undefined ? undefined : checkedSecret(secret, "`secret` (AGENT_VM_SECRET)");

  const endpoint = (publicUrl ?? (peers ? undefined : engine) ?? `http://${reachable(host)}:${port}`).replace(
    /\/+$/,
    "",
  );
  const previewHosts = behindEngine && !peers ? undefined : PreviewHosts.of(previewDomain, endpoint);
  // Behind an engine the VMs of a fork may be on two servers.
  const shared = behindEngine ? (secret ?? token) : undefined;
  const ownToken = shared === undefined ? randomUUID() : sharedToken(shared);
  const policy = { token, allowedOrigins, behindEngine, endpoint, previewHosts, secret: ownToken };
  const log = withSafeErrors(logger);
  const access = new AccessControl(policy, authorize, log);
  const engineServer =
    engine && serverOf({ ...engineOptions(options), endpoint: engine }, { isEngine: true });
  const vms = vmsIn(options.use);
  const bindings = [...vms.values()];
  const local = {
    isAwake: (actorId: string) => bindings.some((vm) => vm.isAwake(actorId)),
    factsOf: (actorId: string, options: { use: boolean }) =>
      bindings.find((vm) => vm.isAwake(actorId))?.factsOf(actorId, options),
  };
  const peering = peers && engineServer ? new Peering(peers, engineServer, local) : undefined;
  const sharing =
    engineServer && chosenSecret
      ? shareTokens(chosenSecret, engineServer, access.live, peering?.actors)
      : undefined;
  access.tokens = sharing?.tokens;
  const vmNames = [...vms.keys()];
  const isVm = (name: string) => vms.has(name);
  /** The data folder, once RivetKit has opened it. Behind an engine it does not. */
  let data: DataFolder | undefined;
  const directory = () => data?.directory;
  const health = serverHealth({
    vms: bindings,
    folder: () => data?.path ?? (behindEngine ? dataDir : undefined),
    directory,
    engine: engineServer ? engineServer.endpoint : undefined,
    hasVms,
    log,
  });
  const metrics = new Metrics();
  const monitor = new Monitor(log, { audit, meter: metrics, onBoot: () => health.booted() });
  const tunnels = new Tunnels();
  bindVms(bindings, {
    ...{ access, monitor, tunnels, places: peering?.places },
    takesBodies: !behindEngine || peering !== undefined,
    get directory() {
      return data?.directory;
    },
    get secret() {
      return data?.secret ?? chosenSecret;
    },
  });
  const { promise: listening, resolve, reject } = Promise.withResolvers<Server>();
  // Without `listen()` nothing awaits this promise, and a rejection would be unhandled.
  listening.catch(() => undefined);
  const onFailure = (error: unknown) =>
    log.error({ msg: "background work of the server failed", err: error });
  const onReplaced = ({ path, lost }: ReplacedIndex) =>
    log.error({
      msg: "index of VMs was damaged, the server made another one",
      damaged: path,
      lost:
        lost === 0
          ? "nothing"
          : `labels, destroyAfterMs and begun deletions of ${lost ?? "an unknown number of"} VMs`,
    });
  const nameOf = (actorId: string) => (peering?.actors ?? data?.directory)?.nameOf(actorId);
  const admit = (message: object, request: AccessRequest) => {
    const actorId = actorNamedBy(request.path, request.header("x-rivet-actor"));
    return access.admitOnce(
      message,
      { ...request, isDirect: true },
      actorId === undefined ? undefined : nameOf(actorId),
    );
  };
  const strangers = new Strangers();
  const visitor = (grant: Grant) => new Visitor(access, grant, vmNames, nameOf);
  const operator = operatorRoutes({ access, monitor, metrics, vms: bindings, directory });
  const serveAwake: VisitedActors["serveAwake"] = (actorId, serve, kind) => {
    const vm = nameOf(actorId);
    return vm && vms.get(vm.name)?.serveAwake(vm, actorId, serve, kind);
  };
  const onServer = (server: Server, managed: ServedActors) => {
    logRivetRejections(log);
    const routes = serverRoutes({
      ...{ access, policy, admit, visitor, vmNames, tunnels, health, monitor, operator, hasConsole },
      own: `http://${reachable(host)}:${port}`,
      actors: { ...managed, serveAwake },
      vmOf: (actorId) => (isVm(nameOf(actorId)?.name ?? "") ? nameOf(actorId) : undefined),
      list: () => peering?.list ?? data?.directory,
      choices: new Map([...vms].map(([name, { choices }]) => [name, choices])),
    });
    const attached = peering?.attach(
      server,
      { access, admit, isVm, reaches: (grant, actorId) => visitor(grant).reaches(actorId), strangers, log },
      routes.guard,
    );
    if (attached === undefined) routes.guard(server, strangers);
    limitBacklog(server);
    onDraining(() => log.info({ msg: "server shuts down" }));
    const listensOn = (server.address() as AddressInfo).port;
    if (listensOn === port) log.info({ host, port, msg: "server listens" });
    else
      log.warn({ host, port: listensOn, configured: port, msg: "port is in use, server listens on another" });
    if (hasVms) for (const { warm } of bindings) warm();
    server.once("close", () => {
      void routes.close();
      for (const { drain } of bindings) void drain();
      data?.directory.close();
      monitor.flush();
    });
    boundWebSockets();
    if (attached === undefined) resolve(server);
    else attached.then(() => resolve(server), reject);
  };
  const guard: ManagerGuard = {
    async admit(message, request) {
      const isUpgrade = request.header("upgrade") !== undefined;
      try {
        const grant = await admit(message, { ...request, external: true });
        // The gate counts the connections of other requests.
        if (isUpgrade) {
          assertNotDraining();
          strangers.admitWebSocket(message, grant);
        }
        return visitor(grant);
      } catch (error) {
        // The gate counts the requests that it refuses, and lets WebSockets pass.
        if (isUpgrade) monitor.refused(errorOf(error).code);
        throw error;
      }
    },
    own: visitor(UNLIMITED),
    secret: policy.secret,
    isVm: (actorId) => isVm(nameOf(actorId)?.name ?? ""),
    names: Object.keys(options.use),
    checkInput: (name, input, sender) => vms.get(name)?.checkInput(input, sender),
  };
  const driver = behindEngine
    ? peering?.driver({ guard, hasActors: hasVms, services: sharing?.use, onServer, onError: reject })
    : guardedDriver({
        guard,
        dataDir,
        onFolder(path, life) {
          const opened = openDirectory(path, life, { vms, quota, onFailure, onReplaced });
          const own = chosenSecret ?? folderSecret(path);
          data = { path, directory: opened, secret: own };
          access.tokens = new Tokens(path, own, (ids) => access.live.revoked(ids), onFailure);
          return opened;
        },
        onFailure,
        ringAll: () => {
          for (const { ringAll } of bindings) ringAll();
        },
        onServer,
        onError: reject,
      });
  const use = { ...options.use, ...sharing?.use } as Actors;
  const registry = makeRegistry({ ...rivetOptions, use } as RivetOptions<Actors>, {
    host,
    port,
    logger: rivetLogger(log, { level: rivetLevel(), isVm }),
    inspectorToken: policy.secret,
    driver,
    isServing: peering !== undefined,
    slots: behindEngine && hasVms ? Math.min(...bindings.map(({ capacity }) => capacity())) : undefined,
  });
  const operations = { access, openRoutes: healthRoutes(health), routes: operator };
  keepSettings(registry, {
    ...{ host, port, dataDir, engine },
    listening: driver && listening,
    operations: driver === undefined ? operations : undefined,
    // A server that loads code while its first VM starts gives the engine no sign of life, and the engine starts the VM elsewhere.
    load:
      behindEngine && hasVms
        ? async () => void (await Promise.allSettled(bindings.map((vm) => vm.load())))
        : undefined,
    checkEngine: engine === undefined ? undefined : () => warnOfOpenEngine(engine, options, log),
  });
  return registry;
}

/** Options that lead to the engine, and that RivetKit takes from its own options too. */
function engineOptions({ namespace, runner }: Pick<RivetOptions<RegistryActors>, "namespace" | "runner">) {
  const { runnerName } = runner ?? {};
  return { ...(namespace !== undefined && { namespace }), ...(runnerName !== undefined && { runnerName }) };
}

/** An open data folder. */
interface DataFolder {
  path: string;
  directory: VmDirectory;
  /** Secret of which keys are derived. */
  secret: Uint8Array;
}

interface DirectoryDeps {
  /** The VMs of the server by name. */
  vms: ReadonlyMap<string, VmBinding>;
  quota: Quota;
  onFailure(error: unknown): void;
  onReplaced(index: ReplacedIndex): void;
}

/** Opens the directory of the VMs that a folder has. */
function openDirectory(
  path: string,
  life: Pick<ActorLife, "destroy" | "isStarting">,
  { vms, quota, onFailure, onReplaced }: DirectoryDeps,
): VmDirectory {
  return new VmDirectory(path, {
    quota,
    lifetimes: new Map([...vms].map(([name, { destroyAfterMs }]) => [name, destroyAfterMs ?? null])),
    isStarting: life.isStarting,
    store: async (actorId) => await [...vms.values()].find((vm) => vm.isAwake(actorId))?.store(actorId),
    destroy: life.destroy,
    onFailure,
    onReplaced,
  });
}
