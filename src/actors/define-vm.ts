import { EVENT_RIGHTS } from "../api/events.ts";
import { MAX_TIMEOUT_MS } from "../api/limits.ts";
import type { Guarded } from "../api/rights.ts";
import type { GrantedConnection } from "../http/access-control.ts";
import { isBodyRequest, takeBody } from "../http/bodies/routes.ts";
import { NOTHING } from "../http/grant.ts";
import { isPlaceRequest } from "../http/peers/places.ts";
import { isServerToken } from "../http/preview-gate.ts";
import { previewKeys } from "../http/preview-keys.ts";
import { answerPreview, isPreviewRequest } from "../http/preview-request.ts";
import { registerVm, unboundServer, type VmBinding } from "../http/vm-binding.ts";
import { assertNotDraining } from "../monitoring/draining.ts";
import { ownActionsOnly } from "../rivet/actions.ts";
import { endDoubledActors } from "../rivet/doubled-actors.ts";
import { takeOverEngineDriver } from "../rivet/engine-runner.ts";
import { type VmEventTokens, vmEvents } from "../rivet/event-tokens.ts";
import { outletName } from "../rivet/outlets.ts";
import { type ActorDefinition, actor } from "../rivet/rivetkit.ts";
import { limitSubscriptions } from "../rivet/subscribers.ts";
import { toUserError } from "../rivet/user-error.ts";
import { encodingOf } from "../rivet/value-counter.ts";
import { checkOptions } from "../runtime/check-options.ts";
import type { VmOptionsInput } from "../runtime/options.ts";
import { choicesOf, clampOwnOptions, parseOwnOptions } from "../runtime/own-options.ts";
import type { TestSeams } from "../runtime/test-seams.ts";
import { VmDefinition } from "../runtime/vm-definition.ts";
import { VM_ACTIONS } from "./action.ts";
import { ALARM_ACTION, ringCron } from "./actor-alarm.ts";
import { destroyForGood } from "./actor-methods.ts";
import type { VmActorOptions } from "./actor-options.ts";
import { factsOf, handOverVm, isAwake, ringAll, serveAwake, storeFiles } from "./awake-vms.ts";
import type { VmActorActions, VmConnectionState, VmContext, VmState, VmVars } from "./context.ts";
import { keepDefinition, warm } from "./definitions.ts";
import { asRunning } from "./drain.ts";
import { checkFork, readFork, takeFork } from "./fork.ts";
import { FORK_ACTIONS, isFork, peerParams } from "./fork-peers.ts";
import { ticketOf } from "./fork-ticket.ts";
import { VmInstance } from "./instance.ts";
import { DISPOSE_TIMEOUT_MS, REPLACE_TIMEOUT_MS, START_TIMEOUT_MS } from "./limits.ts";
import { OwnActor } from "./own-actor.ts";
import { ownActions, ownEvents, ownQueues } from "./own-declarations.ts";
import { takeOwnParts } from "./own-parts.ts";
import { resolveDefinition } from "./resolved-options.ts";
import type { VmActor, VmConnectionParams } from "./vm-actor.ts";

/** A `vm` actor with the types of its parts on the server. */
type ServerActor = ActorDefinition<
  VmState,
  VmConnectionParams,
  VmConnectionState,
  VmVars,
  undefined,
  undefined,
  VmEventTokens,
  Record<never, never>,
  VmActorActions
>;

/**
 * Makes the actor of `vmActor`.
 *
 * @param seams replacements of parts of the VMs, for tests
 */
export function defineVm(input: VmActorOptions, seams: TestSeams = {}): VmActor {
  const { parts, rest } = takeOwnParts(input);
  const check = (data: VmOptionsInput) => checkOptions(data).options;
  const options = check(rest);
  const vms = new VmDefinition(options, seams);
  const checkInput = (input: unknown, { isOwn }: { isOwn: boolean }) => {
    // A client could make up a ticket, and so wake the VM that the ticket names.
    if (!isOwn || ticketOf(input) === undefined) return parseOwnOptions(input, options);
    // A fork has the options of its parent. The server may allow less today.
    return clampOwnOptions((input as { own?: unknown }).own, options);
  };
  const binding: VmBinding = {
    ...{ server: unboundServer(), ringAll, isAwake, factsOf, store: storeFiles },
    serveAwake: (vm, actorId, serve, kind) =>
      serveAwake(
        actorId,
        (instance) =>
          serve({ vm: instance.vm, monitor: instance.monitor, keys: previewKeys(binding.server.access, vm) }),
        kind,
      ),
    choices: choicesOf(options),
    checkInput,
    destroyAfterMs: options.destroyAfterMs,
    capacity: () => vms.capacity,
    tryBoot: (signal) => vms.tryBoot(signal),
    load: () => vms.load(),
    warm: () => warm(vms, binding.server),
    drain: () => vms.drain(),
    poolTally: () => vms.poolTally,
  };
  const own = new OwnActor(parts, options.hookTimeoutMs, () => binding.server.monitor.log);
  const openConnection = (connection: GrantedConnection & { disconnect(reason: string): Promise<void> }) => {
    binding.server.access.opened(connection, (reason) => {
      void connection.disconnect(`user.unauthorized#${reason}`).catch(() => undefined);
    });
  };
  const definition: ServerActor = actor({
    async createState(c, input: undefined): Promise<VmState> {
      const ticket = ticketOf(input);
      try {
        const chosen = checkInput(input, { isOwn: true });
        const user = await own.createState(c, chosen);
        return { alarms: [], own: chosen, user, ...(ticket && { fork: ticket }) };
      } catch (error) {
        throw toUserError(error, c.log, "createState");
      }
    },
    onCreate: (c) => own.created(c),
    async createVars(c): Promise<VmVars> {
      assertNotDraining();
      const { server } = binding;
      const { access, directory, secret, tunnels, takesBodies } = server;
      const monitor = server.monitor.vm(c.name, c.key);
      const mayMove = access.policy.behindEngine;
      // Behind an engine nothing says when the server is there.
      if (mayMove) warm(vms, server);
      try {
        // A VM that is older than the server's own state gets it now.
        c.state.user ??= await own.createState(c, c.state.own);
        const facts = { access, secret, takesBodies };
        const vars = await own.vars(c, facts, monitor, () => destroyForGood(vars, c as unknown as VmContext));
        // The definition of one VM may boot from this one.
        keepDefinition(vms);
        const { definition, ...resolved } = await resolveDefinition(c, vars, vms, rest, check);
        const place = {
          peer: peerParams(access),
          directory,
          tunnels,
          mayMove,
          secret,
          events: own.eventHooks(c, vars),
          // A server that shuts down ends its VMs without RivetKit, which would store the state.
          beforeSleep: own.hasSleep
            ? () => own.beforeSleep(c, vars, () => c.saveState({ immediate: true }))
            : undefined,
          ...resolved,
        };
        vars.instance = await VmInstance.create(definition, c, own.handlers(c, vars), monitor, place);
        return vars;
      } catch (error) {
        throw toUserError(error, monitor.log, "createVars");
      }
    },
    async createConnState(c, params: VmConnectionParams): Promise<VmConnectionState> {
      const { request } = c;
      const header = (name: string) => request?.headers.get(name);
      const path = request ? new URL(request.url).pathname : "";
      // onRequest checks the preview's own token and the signature of another server, and the server has checked the sender
      // of a body. Such a connection may do nothing else.
      if (isPreviewRequest(path) || isBodyRequest(path) || isPlaceRequest(path)) return NOTHING;
      const facts = { header, path, params, external: Boolean(header("host")) };
      const { access } = binding.server;
      try {
        const grant = await access.connect(request, facts, { name: c.name, key: c.key });
        // The hooks are for clients, and the other VM of a fork is none.
        if (grant.unlimited && isFork(access, params)) return grant;
        const user = await own.connecting(c, grant, params);
        const isJson = encodingOf(request?.method, header) === "json";
        return { ...grant, user, outlet: outletName(header), ...(isJson && { isJson: true }) };
      } catch (error) {
        throw toUserError(error, c.log, "connect");
      }
    },
    onConnect: (c, connection) => {
      limitSubscriptions(connection);
      openConnection(connection);
      own.onConnection("onConnect", c, connection);
    },
    onRequest: async (c, request) => {
      const { instance } = c.vars;
      const vm = { name: c.name, key: c.key };
      const { access, places } = binding.server;
      const place = await places?.answer(c.actorId, vm, request);
      if (place !== undefined) return place;
      instance.used();
      const body = takeBody(request);
      if (body !== undefined) {
        await asRunning(instance, () => body(instance));
        return new Response(null, { status: 204 });
      }
      const keys = previewKeys(access, vm);
      const engineActor = access.policy.behindEngine ? c.actorId : undefined;
      const isOurs = (value: string) => isServerToken(access.policy, value);
      const preview = await answerPreview(instance, request, { engineActor, keys, isOurs });
      if (preview !== undefined) return preview;
      // Nobody has checked the sender of such a request: the server itself takes each body.
      if (isBodyRequest(new URL(request.url).pathname)) return new Response("Not Found", { status: 404 });
      return await own.answer(c, request);
    },
    onDisconnect: (c, connection) => {
      binding.server.access.live.closed(connection.id);
      c.vars.instance.calls.disconnected(connection.id);
      own.onConnection("onDisconnect", c, connection);
    },
    async onWake(c) {
      // Behind an engine connections outlive an instance, and their tokens may end.
      for (const connection of c.conns.values()) openConnection(connection);
      await own.life("onWake", c);
      c.vars.instance.started();
    },
    onSleep: (c) => c.vars.instance.dispose("sleep"),
    async onDestroy(c) {
      await own.life("onDestroy", c);
      await c.vars.instance.dispose("destroy");
    },
    ...own.run,
    events: {
      ...vmEvents((c: VmContext, event) => checkEvent(c, event, EVENT_RIGHTS[event])),
      ...ownEvents(parts, checkEvent),
    },
    ...ownQueues(parts, checkEvent),
    actions: {
      ...VM_ACTIONS,
      ...ownActions(parts),
      [ALARM_ACTION]: ringCron,
      [FORK_ACTIONS.read]: readFork,
      [FORK_ACTIONS.take]: takeFork,
      [FORK_ACTIONS.check]: checkFork,
    },
    options: {
      name: "VM",
      createVarsTimeout: START_TIMEOUT_MS,
      createConnStateTimeout: START_TIMEOUT_MS,
      // Actions take as long as the commands they run.
      actionTimeout: MAX_TIMEOUT_MS,
      sleepTimeout: options.sleepTimeoutMs,
      sleepGracePeriod: DISPOSE_TIMEOUT_MS,
      onDestroyTimeout: DISPOSE_TIMEOUT_MS,
      ...parts.options,
    },
  });
  ownActionsOnly(definition);
  endDoubledActors(definition, {
    limitMs: REPLACE_TIMEOUT_MS,
    onDriver: (driver) => {
      if (binding.server.access.policy.behindEngine) takeOverEngineDriver(driver);
    },
    beforeStop: handOverVm,
  });
  registerVm(definition, binding);
  return definition as unknown as VmActor;
}

/** @throws UserError `forbidden` if a connection may not see an event, or send to a queue */
function checkEvent(c: VmContext, name: string, guarded: Guarded): void {
  try {
    c.vars.access.check(c.conn, guarded, { event: name });
  } catch (error) {
    throw toUserError(error, c.log, name);
  }
}
