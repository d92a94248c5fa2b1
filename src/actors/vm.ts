import { type ActorDefinition, actor } from "rivetkit";
import type { VmActions } from "../api/actions.ts";
import { invalidArgument } from "../api/errors.ts";
import { DISPOSE_TIMEOUT_MS, MAX_TIMEOUT_MS, START_TIMEOUT_MS } from "../api/limits.ts";
import type { PermissionReply, PermissionRequest } from "../api/types.ts";
import type { VmOptionsInput } from "../runtime/options.ts";
import { DEFAULT_POLICY, holdPolicy, type PolicyHolder, refusal } from "./access.ts";
import { cron } from "./actions/cron.ts";
import { filesystem } from "./actions/filesystem.ts";
import { network } from "./actions/network.ts";
import { processes } from "./actions/processes.ts";
import { sessions } from "./actions/sessions.ts";
import { shells } from "./actions/shells.ts";
import { snapshots } from "./actions/snapshots.ts";
import { transport } from "./actions/transport.ts";
import { watches } from "./actions/watches.ts";
import { ALARM_ACTION, ringCron } from "./alarm.ts";
import type { VmActorActions, VmConnectionParams, VmState, VmVars } from "./context.ts";
import { userError } from "./errors.ts";
import { type VmEventTokens, vmEvents } from "./events.ts";
import { FORK_ACTIONS, readFork, takeFork } from "./fork.ts";
import { ticketOf } from "./fork-ticket.ts";
import { type CreateVm, runtimeVms, VmInstance } from "./instance.ts";
import type { ActorLog } from "./logger.ts";
import { checkOptions } from "./options.ts";
import { answerPreview, isPreviewRequest } from "./preview-request.ts";

/** A `vm` actor as `setup({ use })` takes it; carries the types of its actions and events to the client. */
export type VmActor = ActorDefinition<
  VmState,
  VmConnectionParams,
  undefined,
  VmVars,
  undefined,
  undefined,
  VmEventTokens,
  Record<never, never>,
  VmActorActions
>;

/** The actor that a hook runs in. */
export interface VmHookContext {
  readonly actorId: string;
  readonly key: readonly string[];
  readonly log: ActorLog;
}

/** What `vmActor()` takes. */
export interface VmActorOptions extends VmOptionsInput {
  /**
   * Answers an agent that asks for permission: `once`, `always`, `reject` or an optionId that the agent offers. With
   * `undefined` those who listen to permissionRequest are asked; an error rejects.
   */
  onPermissionRequest?(
    c: VmHookContext,
    sessionId: string,
    request: PermissionRequest,
  ): Promise<PermissionReply | (string & {}) | undefined> | PermissionReply | (string & {}) | undefined;
}

const actions: VmActorActions = {
  ...filesystem,
  ...processes,
  ...shells,
  ...snapshots,
  ...watches,
  ...network,
  ...cron,
  ...sessions,
  ...transport(() => actions),
} satisfies VmActions;

/**
 * An actor that owns a Linux machine per key. The machine boots with its first action, sleeps when nothing runs in it
 * and nobody is connected, and is gone with the actor.
 *
 * @param options see VmActorOptions; every one has a default.
 * @throws AgentVmError `invalid_argument` for an unknown or malformed option, by name.
 * @example
 * ```ts
 * export const registry = setup({ use: { vm: vmActor({ env: { CI: "1" } }) } });
 * registry.start();
 * ```
 */
export function vmActor(options: VmActorOptions = {}): VmActor {
  return defineVm(options, runtimeVms());
}

/** vmActor with a VM of one's own making, for tests. */
export function defineVm(input: VmActorOptions, createVm: CreateVm): VmActor {
  const { onPermissionRequest, ...rest } = input;
  const options = checkOptions(rest);
  if (onPermissionRequest !== undefined && typeof onPermissionRequest !== "function") {
    throw invalidArgument("onPermissionRequest", "a function", onPermissionRequest);
  }
  const holder: PolicyHolder = { policy: DEFAULT_POLICY };
  const definition: VmActor = actor({
    createState: (_c, input: undefined): VmState => {
      const ticket = ticketOf(input);
      return { alarms: [], ...(ticket && { fork: ticket }) };
    },
    createVars: async (c): Promise<VmVars> => ({
      instance: await VmInstance.create(
        options,
        c,
        createVm,
        onPermissionRequest && ((sessionId, request) => onPermissionRequest(c, sessionId, request)),
      ),
      endpoint: () => holder.policy.endpoint ?? "",
    }),
    onBeforeConnect(c, params) {
      const { request } = c;
      const header = (name: string) => request?.headers.get(name);
      const path = request ? new URL(request.url).pathname : "";
      // onRequest asks for the preview's own token.
      if (isPreviewRequest(path)) return;
      const error = refusal(holder.policy, { header, path, params, external: Boolean(header("host")) });
      if (error) throw userError(error);
    },
    onRequest: (c, request) =>
      answerPreview(c.vars.instance.vm, request, holder.policy.behindEngine ? c.actorId : undefined),
    onDisconnect: (c, connection) => c.vars.instance.calls.disconnected(connection.id),
    onSleep: (c) => c.vars.instance.dispose("sleep"),
    onDestroy: (c) => c.vars.instance.dispose("destroy"),
    events: vmEvents,
    actions: {
      ...actions,
      [ALARM_ACTION]: ringCron,
      [FORK_ACTIONS.read]: readFork,
      [FORK_ACTIONS.take]: takeFork,
    },
    options: {
      name: "VM",
      createVarsTimeout: START_TIMEOUT_MS,
      // Actions take as long as the commands they run.
      actionTimeout: MAX_TIMEOUT_MS,
      sleepTimeout: options.sleepTimeoutMs,
      sleepGracePeriod: DISPOSE_TIMEOUT_MS,
      onDestroyTimeout: DISPOSE_TIMEOUT_MS,
    },
  });
  // RivetKit looks actions up with `in` and would run Object's own, such as `constructor`.
  Object.setPrototypeOf(definition.config.actions, null);
  holdPolicy(definition, holder);
  return definition;
}
