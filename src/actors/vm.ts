import { AgentVmError } from "../api/errors.ts";
import { EVENT_RIGHTS, type VmEventName } from "../api/events.ts";
import { MAX_TIMEOUT_MS } from "../api/limits.ts";
import type { PermissionReply, PermissionRequest } from "../api/methods/session-types.ts";
import { isBodyRequest, takeBody } from "../http/bodies/routes.ts";
import { NOTHING } from "../http/grant.ts";
import { createLogger } from "../http/logger.ts";
import { answerPreview, isPreviewRequest } from "../http/preview-request.ts";
import { registerVm, type VmBinding } from "../http/vm-binding.ts";
import { assertNotDraining } from "../monitoring/draining.ts";
import { Monitor } from "../monitoring/monitor.ts";
import { ownActionsOnly } from "../rivet/actions.ts";
import { endDoubledActors } from "../rivet/doubled-actors.ts";
import { type VmEventTokens, vmEvents } from "../rivet/event-tokens.ts";
import type { ActorLog } from "../rivet/log.ts";
import { type ActorDefinition, actor } from "../rivet/rivetkit.ts";
import { limitSubscriptions } from "../rivet/subscribers.ts";
import { toUserError, userError } from "../rivet/user-error.ts";
import { checkOptions } from "../runtime/check-options.ts";
import type { VmHandlers } from "../runtime/hooks.ts";
import type { VmOptionsInput } from "../runtime/options.ts";
import { clampOwnOptions, parseOwnOptions } from "../runtime/own-options.ts";
import type { TestSeams } from "../runtime/test-seams.ts";
import { VmDefinition } from "../runtime/vm-definition.ts";
import { VM_ACTIONS } from "./action.ts";
import { ALARM_ACTION, ringCron } from "./actor-alarm.ts";
import type { VmActorActions, VmConnectionState, VmContext, VmState, VmVars } from "./context.ts";
import { warm } from "./definitions.ts";
import { asRunning } from "./drain.ts";
import { FORK_ACTIONS, readFork, takeFork } from "./fork.ts";
import { ticketOf } from "./fork-ticket.ts";
import { ringAll, VmInstance } from "./instance.ts";
import { DISPOSE_TIMEOUT_MS, REPLACE_TIMEOUT_MS, START_TIMEOUT_MS } from "./limits.ts";
import { sealingKeyOf } from "./sealing-key.ts";
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

/** Context of a hook: the actor that calls it. */
export interface VmHookContext {
  /** Id of the actor. */
  readonly actorId: string;
  /** Key of the VM. */
  readonly key: readonly string[];
  /** Logger of the actor: `debug(entry)` and `error(entry)`. */
  readonly log: ActorLog;
  /** Identity of the client whose prompt runs, as `authorize` has returned it; `undefined` without one. */
  readonly identity?: unknown;
}

/** Options of `vmActor()`. Every option has a default. */
export interface VmActorOptions extends VmOptionsInput {
  /**
   * Answers an agent that asks for permission.
   *
   * @returns `once`, `always`, `reject` or an optionId that the agent offers; `undefined` asks the clients that listen to
   * `permissionRequest`. An error rejects the request.
   * @default asks the clients
   */
  onPermissionRequest?(
    c: VmHookContext,
    sessionId: string,
    request: PermissionRequest,
  ): Promise<PermissionReply | (string & {}) | undefined> | PermissionReply | (string & {}) | undefined;
}

/**
 * Makes an actor with a Linux VM for each key. A VM boots with its first action. It sleeps when no process, shell,
 * connection or call uses it. It ends with its actor.
 *
 * @param options options of every VM of this actor. @default {}
 * @throws AgentVmError `invalid_argument`, which names an unknown or malformed option
 * @example
 * ```ts
 * export const registry = setup({ use: { vm: vmActor({ env: { CI: "1" } }) } });
 * registry.start();
 * ```
 */
export function vmActor(options: VmActorOptions = {}): VmActor {
  return defineVm(options);
}

/** Like `vmActor`, for tests that replace parts of the VMs. */
export function defineVm(input: VmActorOptions, seams: TestSeams = {}): VmActor {
  const { options, handlers } = checkOptions(input);
  const vms = new VmDefinition(options, seams);
  const checkInput = (input: unknown, isOwn: boolean) => {
    // A client could make up a ticket, and so wake the VM that the ticket names.
    if (!isOwn || ticketOf(input) === undefined) return parseOwnOptions(input, options);
    // A fork has the options of its parent. The server may allow less today.
    return clampOwnOptions((input as { own?: unknown }).own, options);
  };
  // Assigned before RivetKit calls any of the functions below.
  let server: VmBinding;
  const definition: ServerActor = actor({
    createState: (_c, input: undefined): VmState => {
      const ticket = ticketOf(input);
      try {
        return { alarms: [], own: checkInput(input, true), ...(ticket && { fork: ticket }) };
      } catch (error) {
        throw error instanceof AgentVmError ? userError(error) : error;
      }
    },
    async createVars(c): Promise<VmVars> {
      assertNotDraining();
      server.monitor ??= new Monitor(createLogger());
      const monitor = server.monitor.vm(c.name, c.key);
      const { access, directory, secret } = server;
      const bound = bindHandlers(handlers, c, monitor.log);
      const mayMove = access.policy.behindEngine;
      // Behind an engine nothing says when the server is there.
      if (mayMove) warm(vms, server);
      try {
        const place = { directory, mayMove, sealingKey: secret && sealingKeyOf(secret, c.actorId) };
        const instance = await VmInstance.create(vms, c, bound, monitor, place);
        return { instance, access, takesBodies: server.takesBodies === true };
      } catch (error) {
        throw error instanceof AgentVmError ? userError(error) : error;
      }
    },
    async createConnState(c, params: VmConnectionParams): Promise<VmConnectionState> {
      const { request } = c;
      const header = (name: string) => request?.headers.get(name);
      const path = request ? new URL(request.url).pathname : "";
      // onRequest checks the preview's own token, and the server has checked the sender of a body. Such a connection may do nothing else.
      if (isPreviewRequest(path) || isBodyRequest(path)) return NOTHING;
      const facts = { header, path, params, external: Boolean(header("host")) };
      try {
        return await server.access.connect(request, facts, { name: c.name, key: c.key });
      } catch (error) {
        throw toUserError(error, c.log, "connect");
      }
    },
    onConnect: (_c, connection) => {
      limitSubscriptions(connection);
      server.access.opened(connection, (reason) => {
        void connection.disconnect(`user.unauthorized#${reason}`).catch(() => undefined);
      });
    },
    onRequest: async (c, request) => {
      const { instance } = c.vars;
      instance.used();
      const body = takeBody(request);
      if (body !== undefined) {
        await asRunning(() => body(instance));
        return new Response(null, { status: 204 });
      }
      const { behindEngine } = server.access.policy;
      return await answerPreview(instance.vm, request, behindEngine ? c.actorId : undefined);
    },
    onDisconnect: (c, connection) => {
      server.access.live.closed(connection.id);
      c.vars.instance.calls.disconnected(connection.id);
    },
    onSleep: (c) => c.vars.instance.dispose("sleep"),
    onDestroy: (c) => c.vars.instance.dispose("destroy"),
    events: vmEvents((c: VmContext, event) => checkEvent(c, event)),
    actions: {
      ...VM_ACTIONS,
      [ALARM_ACTION]: ringCron,
      [FORK_ACTIONS.read]: readFork,
      [FORK_ACTIONS.take]: takeFork,
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
    },
  });
  ownActionsOnly(definition);
  endDoubledActors(definition, REPLACE_TIMEOUT_MS);
  server = registerVm(definition, {
    ringAll,
    checkInput,
    destroyAfterMs: options.destroyAfterMs,
    tryBoot: (signal) => vms.tryBoot(signal),
    warm: () => warm(vms, server),
    drain: () => vms.drain(),
    poolTally: () => vms.poolTally,
  });
  return definition as unknown as VmActor;
}

/** @throws UserError `forbidden` if a connection may not see an event */
function checkEvent(c: VmContext, event: VmEventName): void {
  try {
    c.vars.access.check(c.conn, EVENT_RIGHTS[event], { event });
  } catch (error) {
    throw toUserError(error, c.log, event);
  }
}

/** Binds an actor's handlers to its context, their first argument. */
function bindHandlers(
  { onPermissionRequest }: Partial<VmActorOptions>,
  c: Pick<VmHookContext, "actorId" | "key">,
  log: ActorLog,
): VmHandlers {
  if (onPermissionRequest === undefined) return {};
  const { actorId, key } = c;
  return {
    onPermissionRequest: (sessionId, request, identity) =>
      onPermissionRequest({ actorId, key, log, identity }, sessionId, request),
  };
}
