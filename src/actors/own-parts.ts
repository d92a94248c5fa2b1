import { AgentVmError, invalidArgument, unknownOption } from "../api/errors.ts";
import { EVENT_RIGHTS } from "../api/events.ts";
import { VM_METHOD_NAMES } from "../api/methods/table.ts";
import { type Guarded, RIGHT_NAMES, type Right } from "../api/rights.ts";
import type { VmHandlers } from "../runtime/hooks.ts";
import { ALARM_ACTION } from "./actor-alarm.ts";
import type { EventHookTable } from "./event-hooks.ts";
import { FORK_ACTIONS } from "./fork-peers.ts";
import type { OwnParts, VmRivetOptions } from "./own-types.ts";

// biome-ignore lint/suspicious/noExplicitAny: the types of a server's own parts are the server's
type AnyParts = OwnParts<any, any, any, any, any, any>;

/** Parts that are functions of the actor. */
const FUNCTIONS = [
  "createState",
  "createVars",
  "createConnState",
  "onBeforeConnect",
  "onConnect",
  "onDisconnect",
  "onCreate",
  "onWake",
  "onSleep",
  "onDestroy",
  "run",
  "onRequest",
  "resolveOptions",
  "onVmStart",
  "onVmStop",
  "onSessionEvent",
  "onAgentExit",
  "onLimitWarning",
  "onProcessExit",
  "onFileChanged",
  "onPermissionRequest",
  "onNetworkRequest",
] as const satisfies (keyof AnyParts)[];

const VALUES = ["state", "vars"] as const satisfies (keyof AnyParts)[];

const TABLES = ["actions", "events", "queues", "rights", "options"] as const satisfies (keyof AnyParts)[];

/** Members of a handle or a connection of the client, which no action can replace. */
const CLIENT_MEMBERS = [
  "action",
  "attach",
  "connect",
  "connectTerminal",
  "connId",
  "connStatus",
  "dispose",
  "ended",
  "fetch",
  "getGatewayUrl",
  "invoke",
  "isConnected",
  "line",
  "on",
  "onClose",
  "onError",
  "onOpen",
  "onStatusChange",
  "once",
  "resolve",
  "run",
  "runArgv",
  "send",
  "synced",
  "terminal",
  "then",
  "webSocket",
];

const RESERVED_ACTIONS: ReadonlySet<string> = new Set([
  ...VM_METHOD_NAMES,
  ALARM_ACTION,
  ...Object.values(FORK_ACTIONS),
  ...CLIENT_MEMBERS,
  ...Object.getOwnPropertyNames(Object.prototype),
]);

/** The client itself makes this event. */
const RESERVED_EVENTS: ReadonlySet<string> = new Set([...Object.keys(EVENT_RIGHTS), "vmRestarted"]);

/**
 * Takes a server's own parts out of the options of `vmActor()`.
 *
 * @returns the parts, and the options of VMs
 * @throws AgentVmError `invalid_argument` for a malformed part, and for a name that the VM has already
 */
export function takeOwnParts<Input extends object>(input: Input): { parts: AnyParts; rest: Partial<Input> } {
  const parts: Record<string, unknown> = {};
  const rest = { ...input } as Record<string, unknown>;
  const take = (name: string) => {
    if (rest[name] !== undefined) parts[name] = rest[name];
    delete rest[name];
  };
  for (const name of FUNCTIONS) {
    take(name);
    if (parts[name] !== undefined && typeof parts[name] !== "function")
      throw invalidArgument(name, "a function", parts[name]);
  }
  for (const name of VALUES) take(name);
  for (const name of TABLES) {
    take(name);
    const table = parts[name];
    if (table !== undefined && (typeof table !== "object" || table === null || Array.isArray(table)))
      throw invalidArgument(name, "an object", table);
  }
  checkNames(parts as AnyParts);
  checkRivetOptions(parts.options ?? {});
  return { parts: parts as AnyParts, rest: rest as Partial<Input> };
}

const RIVET_OPTIONS = [
  "name",
  "icon",
  "stateSaveInterval",
  "actionTimeout",
  "waitUntilTimeout",
  "runStopTimeout",
  "maxQueueSize",
  "maxQueueMessageSize",
] as const satisfies (keyof VmRivetOptions)[];

function checkRivetOptions(options: object): void {
  for (const [name, value] of Object.entries(options)) {
    if (!RIVET_OPTIONS.some((known) => known === name))
      throw unknownOption("vmActor", `options.${name}`, RIVET_OPTIONS);
    const isText = name === "name" || name === "icon";
    const fits = isText ? typeof value === "string" : Number.isSafeInteger(value) && value > 0;
    if (value !== undefined && !fits)
      throw invalidArgument(`options.${name}`, isText ? "a string" : "a positive integer", value);
  }
}

function checkNames({
  actions = {},
  events = {},
  queues = {},
  rights = {},
  state,
  createState,
  vars,
  createVars,
}: AnyParts): void {
  for (const [name, action] of Object.entries(actions)) {
    if (RESERVED_ACTIONS.has(name)) throw reserved("action", name);
    if (typeof action !== "function") throw invalidArgument(`actions.${name}`, "a function", action);
  }
  for (const name of Object.keys(events)) if (RESERVED_EVENTS.has(name)) throw reserved("event", name);
  const known = [...Object.keys(actions), ...Object.keys(events), ...Object.keys(queues)];
  for (const [name, right] of Object.entries(rights)) {
    if (!known.includes(name)) throw unknownOption("vmActor", `rights.${name}`, known);
    if (right !== "any" && !RIGHT_NAMES.includes(right as Right))
      throw invalidArgument(`rights.${name}`, `"any" or one of ${RIGHT_NAMES.join(", ")}`, right);
  }
  if (state !== undefined && createState !== undefined)
    throw new AgentVmError("invalid_argument", "vmActor takes `state` or `createState`, not both");
  if (vars !== undefined && createVars !== undefined)
    throw new AgentVmError("invalid_argument", "vmActor takes `vars` or `createVars`, not both");
}

function reserved(kind: string, name: string): AgentVmError {
  return new AgentVmError("invalid_argument", `vmActor() ${kind} name is reserved: ${name}`, {
    argument: `${kind}s.${name}`,
  });
}

/** The right that a client needs for an action, an event or a queue of the server's own. */
export function ownRight({ rights }: AnyParts, name: string, standard: Guarded["right"]): Guarded {
  const right = (rights as Record<string, Right | "any"> | undefined)?.[name] ?? standard;
  return { right, ...(right === "read" && { reads: true as const }) };
}

/** The hooks of a server for the life of a VM, each with a context. @param context makes the context of a hook */
export function vmHandlers(parts: AnyParts, context: (identity?: unknown) => never): VmHandlers {
  const { onVmStart, onVmStop, onPermissionRequest, onNetworkRequest } = parts;
  return {
    ...(onVmStart && { onVmStart: (vm) => onVmStart(context(), vm) }),
    ...(onVmStop && { onVmStop: (vm, reason) => onVmStop(context(), vm, reason) }),
    ...(onPermissionRequest && {
      onPermissionRequest: (sessionId, request, identity) =>
        onPermissionRequest(context(identity), sessionId, request),
    }),
    ...(onNetworkRequest && { onNetworkRequest: (question) => onNetworkRequest(context(), question) }),
  };
}

/** The hooks of a server for events of a VM. @param context makes the context of a hook */
export function eventHooks(parts: AnyParts, context: () => never): EventHookTable {
  const { onSessionEvent, onAgentExit, onLimitWarning, onProcessExit, onFileChanged } = parts;
  return {
    ...(onSessionEvent && {
      sessionEvent: {
        name: "onSessionEvent",
        run: ({ sessionId, event }) => onSessionEvent(context(), sessionId, event),
      },
    }),
    ...(onAgentExit && {
      agentCrashed: { name: "onAgentExit", run: (exit) => onAgentExit(context(), exit) },
    }),
    ...(onLimitWarning && {
      limitWarning: { name: "onLimitWarning", run: (warning) => onLimitWarning(context(), warning) },
    }),
    ...(onProcessExit && {
      processExit: { name: "onProcessExit", run: (exit) => onProcessExit(context(), exit) },
    }),
    ...(onFileChanged && {
      fileChanged: { name: "onFileChanged", run: (change) => onFileChanged(context(), change) },
    }),
  };
}

export type { AnyParts };
