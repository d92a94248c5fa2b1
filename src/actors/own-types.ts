import type { VmEvents } from "../api/events.ts";
import type { NetworkAnswer, NetworkQuestion } from "../api/methods/network-requests.ts";
import type { SessionEvent } from "../api/methods/session-event.ts";
import type { PermissionReply, PermissionRequest } from "../api/methods/session-types.ts";
import type { Right } from "../api/rights.ts";
import type { VmInput } from "../api/vm-input.ts";
import type { ActorLog } from "../rivet/log.ts";
import type { ActionContext, event, queue } from "../rivet/rivetkit.ts";
import type { HostVm } from "../runtime/host-functions/types.ts";
import type { VmOptionsInput } from "../runtime/options.ts";
import type { EndReason } from "../runtime/room.ts";
import type { VmConnectionParams } from "./vm-actor.ts";

/** Events of a server's own, by name: `event<Payload>()` of `agent-vm/rivetkit`. */
// biome-ignore lint/suspicious/noExplicitAny: any payload
export type OwnEvents = Record<string, ReturnType<typeof event<any>>>;

/** Queues of a server's own, by name: `queue<Message>()` of `agent-vm/rivetkit`. */
// biome-ignore lint/suspicious/noExplicitAny: any message, and any answer
export type OwnQueues = Record<string, ReturnType<typeof queue<any, any>>>;

/** The parts of RivetKit's context that do not depend on the server's own types. */
type Rivet<Queues extends OwnQueues = Record<never, never>> = ActionContext<
  undefined,
  undefined,
  undefined,
  undefined,
  undefined,
  undefined,
  Record<never, never>,
  Queues
>;

/** The value that a token of `event()` stands for. */
type PayloadOf<Token> = Token extends { readonly _eventType?: infer Payload } ? Payload : unknown;

/** Context of a hook that runs before the VM is there. */
export interface VmCreateContext {
  /** Id of the actor. */
  readonly actorId: string;
  /** Name of the actor in `use`. */
  readonly name: string;
  /** Key of the VM. */
  readonly key: readonly string[];
}

/** Context of a hook: the actor that calls it. */
export interface VmHookContext {
  /** Id of the actor. */
  readonly actorId: string;
  /** Key of the VM. */
  readonly key: readonly string[];
  /** Logger of the actor: `debug(entry)` and `error(entry)`. */
  readonly log: ActorLog;
  /** Identity of the client whose call runs, as `authorize` has returned it; `undefined` without one. */
  readonly identity?: unknown;
}

/** Connection of a client, for a server's own code. */
export interface VmOwnConnection<ConnState = unknown, Events extends OwnEvents = Record<never, never>> {
  /** Id of the connection. */
  readonly id: string;
  /** Parameters that the client has sent. */
  readonly params: VmConnectionParams;
  /** State of the connection: the result of `createConnState`. */
  state: ConnState;
  /** Sends an event to this connection. */
  send<Name extends keyof Events & string>(name: Name, payload: PayloadOf<Events[Name]>): void;
  /** Closes the connection. */
  disconnect(reason?: string): Promise<void>;
}

/** Context of the hooks and actions of a server's own: that of RivetKit's actors, with the VM. */
export interface VmOwnContext<
  State = unknown,
  ConnState = unknown,
  Vars = unknown,
  Events extends OwnEvents = Record<never, never>,
  Queues extends OwnQueues = Record<never, never>,
> extends VmHookContext {
  /** The VM: its methods, which check their arguments. They need no right. */
  readonly vm: HostVm;
  /** State of the server's code. It survives sleep and restarts of the server. */
  state: State;
  /** Values of the server's code that live until the VM sleeps. */
  vars: Vars;
  /** Connection of the client whose action runs; throws without one. */
  readonly conn: VmOwnConnection<ConnState, Events>;
  /** Connections of all clients, by id. */
  readonly conns: ReadonlyMap<string, VmOwnConnection<ConnState, Events>>;
  /** Rights of the client whose action runs; empty without a client. */
  readonly may: readonly Right[];
  /** Name of the actor in `use`. */
  readonly name: string;
  /** Region of a Rivet Engine. */
  readonly region: string;
  /** Aborts when the actor stops. */
  readonly abortSignal: AbortSignal;
  /** Messages of the queues. */
  readonly queue: Rivet<Queues>["queue"];
  /** Runs actions of the server's own later, also after a sleep. */
  readonly schedule: Rivet["schedule"];
  /** Sends an event of the server's own to everybody who listens. */
  broadcast<Name extends keyof Events & string>(name: Name, payload: PayloadOf<Events[Name]>): void;
  /** A client of the server's actors. */
  readonly client: Rivet["client"];
  /** Stores the state now. */
  saveState(options: { immediate?: boolean }): Promise<void>;
  /** Keeps the VM awake until the promise has settled. */
  keepAwake<Value>(work: Promise<Value>): Promise<Value>;
  /** Makes the end of the actor wait for the promise. */
  waitUntil(work: Promise<void>): void;
  /** Puts the actor to sleep. */
  sleep(): void;
  /** Ends the VM for good and deletes the actor, as the method `destroy` does. */
  destroy(): void;
}

/** Actions of a server's own, by name. */
export type OwnActions<Context> = Record<
  string,
  // biome-ignore lint/suspicious/noExplicitAny: the arguments of an action are its own
  (c: Context, ...args: any[]) => any
>;

type Maybe<Value> = Value | Promise<Value>;

/** Options of RivetKit's actors that a server may set for its VMs. */
export interface VmRivetOptions {
  /** Name of the actors for people. @default "VM" */
  name?: string;
  /** Icon of the actors. @default none */
  icon?: string;
  /** Milliseconds between two saves of the state. @default 10,000 */
  stateSaveInterval?: number;
  /** Milliseconds that an action may take. @default 2,147,483,647 */
  actionTimeout?: number;
  /** Milliseconds that work of `c.waitUntil` may take when the actor ends. @default 15,000 */
  waitUntilTimeout?: number;
  /** Milliseconds that `run` may take to end. @default 15,000 */
  runStopTimeout?: number;
  /** Messages of a VM that wait in its queues. @default 1,000 */
  maxQueueSize?: number;
  /** Bytes of one message in a queue. @default 65,536 */
  maxQueueMessageSize?: number;
}

/** Options of one VM that `resolveOptions` may return. Each takes the place of the option of `vmActor()`. */
export type ResolvedOptions = Pick<VmOptionsInput, (typeof RESOLVABLE)[number]>;

/** Names of the options that `resolveOptions` may return. */
export const RESOLVABLE = [
  "env",
  "defaultCwd",
  "timezone",
  "limits",
  "seccomp",
  "software",
  "agents",
  "hostFunctions",
  "bindings",
  "services",
  "checkpoint",
  "persistence",
  "cron",
  "sessions",
  "network",
] as const satisfies (keyof VmOptionsInput)[];

/** Parts that a server adds to the actor of its VMs: state, actions, events, queues and hooks. */
export interface OwnParts<
  State,
  ConnState,
  Vars,
  Events extends OwnEvents,
  Queues extends OwnQueues,
  Actions,
> {
  /** First state of each VM. It survives sleep and restarts of the server. @default undefined */
  state?: State;
  /** Makes the first state of a VM. @param input options of the VM, such as its labels. @default `state` */
  createState?(c: VmCreateContext, input: VmInput): Maybe<State>;
  /** Values that live until the VM sleeps. @default undefined */
  vars?: Vars;
  /** Makes `vars`, each time that the VM wakes. @default `vars` */
  createVars?(c: VmCreateContext & { state: State }): Maybe<Vars>;
  /** Makes the state of a connection, after `onBeforeConnect`. An error refuses the connection. @default undefined */
  createConnState?(
    c: VmOwnContext<State, unknown, Vars, Events, Queues>,
    params: VmConnectionParams,
  ): Maybe<ConnState>;
  /** Runs before a client connects that the server has admitted. An error refuses the connection. Not for previews. */
  onBeforeConnect?(
    c: VmOwnContext<State, unknown, Vars, Events, Queues>,
    params: VmConnectionParams,
  ): Maybe<void>;
  /** A client has connected. Each call without a connection connects too. */
  onConnect?(
    c: VmOwnContext<State, ConnState, Vars, Events, Queues>,
    conn: VmOwnConnection<ConnState, Events>,
  ): Maybe<void>;
  /** A connection has ended. */
  onDisconnect?(
    c: VmOwnContext<State, ConnState, Vars, Events, Queues>,
    conn: VmOwnConnection<ConnState, Events>,
  ): Maybe<void>;
  /** A VM has been made. There is no `c.vm` yet. */
  onCreate?(c: VmCreateContext & { state: State }, input: VmInput): Maybe<void>;
  /** A VM has woken, and takes calls when the hook has ended. */
  onWake?(c: VmOwnContext<State, ConnState, Vars, Events, Queues>): Maybe<void>;
  /** A VM is about to sleep. It still runs. */
  onSleep?(c: VmOwnContext<State, ConnState, Vars, Events, Queues>): Maybe<void>;
  /** The actor of a VM is about to be deleted. The VM may be gone already. */
  onDestroy?(c: VmOwnContext<State, ConnState, Vars, Events, Queues>): Maybe<void>;
  /** Runs beside the VM from each wake on, for example to take messages from queues. */
  run?(c: VmOwnContext<State, ConnState, Vars, Events, Queues>): Maybe<void>;
  /** Answers HTTP requests to the actor that are no previews. @default 404 */
  onRequest?(c: VmOwnContext<State, ConnState, Vars, Events, Queues>, request: Request): Maybe<Response>;
  /** Actions beside those of the VM. A client calls them by their names. @default {} */
  actions?: Actions & OwnActions<VmOwnContext<State, ConnState, Vars, Events, Queues>>;
  /** The right that a token needs for an action, an event or a queue of your own. @default "exec" for each; "any" for events */
  rights?: Readonly<Record<string, Right | "any">>;
  /** Events beside those of the VM, for `c.broadcast`. @default {} */
  events?: Events;
  /** Queues for `c.queue`. @default {} */
  queues?: Queues;
  /** Options of RivetKit's actors. @default RivetKit's, and those of agent-vm */
  options?: VmRivetOptions;
  /**
   * Chooses options of one VM each time it wakes. An error or the timeout fails every boot until the VM has slept.
   *
   * @returns options that take the place of those of `vmActor()`. `env` and `limits` are merged
   */
  resolveOptions?(c: VmOwnContext<State, ConnState, Vars, Events, Queues>): Maybe<ResolvedOptions>;
  /** Prepares a VM after each boot, before any call uses it. The boot waits for it. An error fails the boot. */
  onVmStart?(c: VmOwnContext<State, ConnState, Vars, Events, Queues>, vm: HostVm): Maybe<void>;
  /** A VM that has started is about to go down; with `error` it is down already. The end waits at most 10 s. */
  onVmStop?(
    c: VmOwnContext<State, ConnState, Vars, Events, Queues>,
    vm: HostVm,
    reason: EndReason,
  ): Maybe<void>;
  /** Notification of an agent, once, whatever the number of clients. In order. */
  onSessionEvent?(
    c: VmOwnContext<State, ConnState, Vars, Events, Queues>,
    sessionId: string,
    event: SessionEvent,
  ): Maybe<void>;
  /** The process of an agent has ended unexpectedly. */
  onAgentExit?(
    c: VmOwnContext<State, ConnState, Vars, Events, Queues>,
    exit: VmEvents["agentCrashed"],
  ): Maybe<void>;
  /** A VM has used 80 % of a limit. */
  onLimitWarning?(
    c: VmOwnContext<State, ConnState, Vars, Events, Queues>,
    warning: VmEvents["limitWarning"],
  ): Maybe<void>;
  /** A process that `spawn` or `run` started has ended. */
  onProcessExit?(
    c: VmOwnContext<State, ConnState, Vars, Events, Queues>,
    exit: VmEvents["processExit"],
  ): Maybe<void>;
  /** A file or directory that `watchFiles` watches has changed. */
  onFileChanged?(
    c: VmOwnContext<State, ConnState, Vars, Events, Queues>,
    change: VmEvents["fileChanged"],
  ): Maybe<void>;
  /**
   * Answers an agent that asks for permission.
   *
   * @returns `once`, `always`, `reject` or an optionId that the agent offers; `undefined` asks the clients that listen to
   * `permissionRequest`. An error rejects the request.
   * @default asks the clients
   */
  onPermissionRequest?(
    c: VmOwnContext<State, ConnState, Vars, Events, Queues>,
    sessionId: string,
    request: PermissionRequest,
  ): Maybe<PermissionReply | (string & {}) | undefined>;
  /**
   * Answers a program that wants to reach a destination for which the outbound policy has a rule of `ask`.
   *
   * @returns `allow`, `once` or `deny`; `undefined` asks the clients that listen to `networkRequest`. An error denies, and so
   * does no answer within `network.askTimeoutMs`
   * @default asks the clients
   */
  onNetworkRequest?(
    c: VmOwnContext<State, ConnState, Vars, Events, Queues>,
    question: NetworkQuestion,
  ): Maybe<NetworkAnswer | undefined>;
}
