/// <reference lib="esnext.disposable" preserve="true" />
import type { AgentVmError } from "../api/errors.ts";
import type { VmEventName } from "../api/events.ts";
import type { StartedAt } from "../api/methods/process-types.ts";
import type { ArchiveImport, ForkedVm, ForkOptions } from "../api/methods/snapshot-types.ts";
import type { ClientTable, VmMethods } from "../api/methods/table.ts";
import type { VmChoices, VmInput } from "../api/vm-input.ts";
import type { VmListOptions, VmPage } from "../api/vm-list.ts";
import type { PieceSource } from "./pieces.ts";
import type { ServerAddress } from "./rivet/config.ts";
import type { HandleOptions } from "./rivet/handle.ts";
import type { ActionRequest, ActorConnStatus, QueueOptions, RawHandle } from "./rivet/raw.ts";
import type {
  ActorAccessor,
  ActorDefinition,
  ActorHandle,
  AnyActorDefinition,
  ExtractActorsFromRegistry,
  Registry,
  RegistryActors,
} from "./rivet/rivetkit.ts";
import type { RunMethods } from "./run.ts";
import type { Subscribe, Unsubscribe } from "./subscribe.ts";
import type { TarExport } from "./tar-export.ts";
import type { TokensAccessor } from "./tokens.ts";
import type { ReadFile, TarTransferOptions, VmFetch, WriteFile } from "./transfer-types.ts";
import type { TunnelMethods } from "./tunnel/types.ts";

/** Options of a call that may take long. */
export interface CallOptions {
  /**
   * Stops the wait when it aborts: the call rejects with the signal's reason. The VM cancels `vmFetch` and `waitForPort`.
   * A command or other work that the call has started keeps running.
   * @default none: the call waits for its end
   */
  signal?: AbortSignal;
}

/** Methods whose arguments or result differ in this client. The method table documents them. */
type TransferCalls = {
  readFile: ReadFile;
  writeFile: WriteFile;
  vmFetch: VmFetch;
  exportTar: (path?: string, options?: TarTransferOptions) => Promise<TarExport>;
  exportSnapshot: (options?: TarTransferOptions) => Promise<TarExport>;
  importTar: (data: PieceSource, path?: string, options?: TarTransferOptions) => Promise<ArchiveImport>;
  fork: (newKey: string | string[], options?: ForkOptions & CallOptions) => Promise<ForkedVm>;
  waitProcess: (pid: number, options?: StartedAt & CallOptions) => Promise<number>;
};

/** A method of the table as this client offers it: with `CallOptions` behind the arguments if it takes a signal. */
type ClientCall<Row> = Row extends { readonly takesSignal?: infer Signal; readonly call?: infer Call }
  ? Call extends (...args: infer Args) => infer Result
    ? true extends Signal
      ? (...args: [...Args, call?: CallOptions]) => Result
      : Call
    : never
  : never;

/** The methods of a VM as this client offers them. */
export type VmClientMethods = {
  [Name in keyof ClientTable]: Name extends keyof TransferCalls
    ? TransferCalls[Name]
    : ClientCall<ClientTable[Name]>;
} & RunMethods &
  TunnelMethods;

/** Common part of handles and connections. No interface: a program that exports a handle must be able to name its type. */
type Callable = {
  /** Calls an action by its name. @returns the action's result */
  action(request: ActionRequest): Promise<unknown>;
};

/** Members of a handle that reach the actor itself. */
type ActorMembers = Pick<RawHandle, "fetch" | "webSocket" | "resolve" | "getGatewayUrl">;

/** Parts that a server adds to the handles of its VMs. */
interface Added {
  /** Its own actions. */
  calls: object;
  /** Payloads of its own events. */
  events: object;
  /** Messages of its own queues. */
  queues: object;
}

/** A server that adds nothing. */
interface NothingAdded extends Added {
  calls: Record<never, never>;
  events: Record<never, never>;
  queues: Record<never, never>;
}

/** The value that a token of `event()` or `queue()` stands for. */
type ValueOf<Token> = Token extends { readonly _queueMessage?: infer Message }
  ? Message
  : Token extends { readonly _eventType?: infer Payload }
    ? Payload
    : unknown;

/** Parts that the definition of an actor adds to a VM. */
type AddedBy<Definition extends AnyActorDefinition> =
  // biome-ignore lint/suspicious/noExplicitAny: only three parts of the definition matter
  Definition extends ActorDefinition<any, any, any, any, any, any, infer Events, infer Queues, infer Actions>
    ? {
        calls: {
          [Name in Exclude<keyof Actions, keyof VmMethods>]: Actions[Name] extends (
            c: never,
            ...args: infer Args
          ) => infer Result
            ? (...args: Args) => Promise<Awaited<Result>>
            : never;
        };
        events: { [Name in Exclude<keyof Events, VmEventName>]: ValueOf<Events[Name]> };
        queues: { [Name in keyof Queues]: ValueOf<Queues[Name]> };
      }
    : NothingAdded;

/** Sends messages to the queues that a server adds to its VMs. */
type Send<Queues> = [keyof Queues] extends [never]
  ? unknown
  : {
      /**
       * Sends a message to a queue of the server's code.
       *
       * @param options `wait: true` waits until that code has completed the message
       */
      send<Name extends keyof Queues & string>(
        name: Name,
        body: Queues[Name],
        options?: QueueOptions,
      ): Promise<unknown>;
    };

/** Subscribes to the events that a server adds to its VMs. */
type OwnSubscribe<Events> = [keyof Events] extends [never]
  ? unknown
  : <Name extends keyof Events & string>(
      event: Name,
      callback: (payload: Events[Name]) => void,
    ) => Unsubscribe;

/** Parts that the actor of a name adds to its VMs. */
type AddedIn<R extends AnyRegistry, Name> = [Name] extends [never]
  ? NothingAdded
  : Name extends keyof ExtractActorsFromRegistry<R>
    ? AddedBy<ExtractActorsFromRegistry<R>[Name]>
    : NothingAdded;

/**
 * A VM by its key or id. A new handle sends nothing.
 *
 * @typeParam R registry of the server
 * @typeParam Name name of the actor, for the actions, events and queues that the server adds to its VMs. @default none
 * @example
 * ```ts
 * async function build(vm: VmHandle<typeof registry>) {
 *   return (await vm.exec("npm run build")).exitCode === 0;
 * }
 * ```
 */
export type VmHandle<
  R extends AnyRegistry = AnyRegistry,
  Name extends keyof ExtractActorsFromRegistry<R> = never,
> = HandleWith<AddedIn<R, Name>>;

type HandleWith<Parts extends Added> = VmClientMethods &
  Callable &
  ActorMembers &
  Parts["calls"] &
  Send<Parts["queues"]> & {
    /** Opens a connection for events. Actions on the connection share its socket and do not wait for each other. */
    connect(): ConnectionWith<Parts>;
  };

/**
 * An open connection to a VM. It reconnects by itself after a failure. `await using` closes it.
 *
 * @typeParam R registry of the server
 * @typeParam Name name of the actor, for the actions and events that the server adds to its VMs. @default none
 */
export type VmConnection<
  R extends AnyRegistry = AnyRegistry,
  Name extends keyof ExtractActorsFromRegistry<R> = never,
> = ConnectionWith<AddedIn<R, Name>>;

type ConnectionWith<Parts extends Added> = VmClientMethods &
  Callable &
  Parts["calls"] &
  AsyncDisposable & {
    /**
     * Subscribes to an event. The subscription outlives a broken connection.
     *
     * @returns a function that ends the subscription
     * @example
     * ```ts
     * const conn = vm.connect();
     * const stop = conn.on("processOutput", ({ pid, stream, data }) => console.log(pid, stream, data.length));
     * await conn.waitProcess((await conn.spawn("ls")).pid);
     * stop();
     * ```
     */
    readonly on: Subscribe & OwnSubscribe<Parts["events"]>;
    /**
     * Subscribes to the next event of a name, and to no later one.
     *
     * @returns a function that ends the subscription before the event
     * @example
     * ```ts
     * vm.connect().once("vmShutdown", ({ reason }) => console.log("the VM has ended:", reason));
     * ```
     */
    readonly once: Subscribe & OwnSubscribe<Parts["events"]>;
    /**
     * Calls back when the connection ended or could not be opened. Calls back with `forbidden` when the token may not see an event
     * that the connection has subscribed to.
     *
     * @returns a function that ends the subscription
     */
    onError(callback: (error: AgentVmError) => void): Unsubscribe;
    /** Called whenever the connection opens. @returns a function that ends the subscription. */
    onOpen(callback: () => void): Unsubscribe;
    /** Called whenever an open connection closes. @returns a function that ends the subscription. */
    onClose(callback: () => void): Unsubscribe;
    /** Called with each new `connStatus`. @returns a function that ends the subscription. */
    onStatusChange(callback: (status: ActorConnStatus) => void): Unsubscribe;
    /** State: `idle`, `connecting`, `connected` or `disconnected`, which is followed by another attempt. */
    readonly connStatus: ActorConnStatus;
    /** `true` while the connection is open. */
    readonly isConnected: boolean;
    /** Closes the connection. Waiting calls reject with `connection_lost`. */
    dispose(): Promise<void>;
  };

/** Options of `getOrCreate()`. */
export interface GetOrCreateVmOptions extends HandleOptions {
  /** Options of the VM, if this handle makes it. A VM that exists keeps its own. @default {} */
  createWithInput?: VmInput;
  /** Region of a Rivet Engine for a VM that this handle makes. @default the engine's choice */
  createInRegion?: string;
}

/** Options of `create()`. */
export interface CreateVmOptions extends HandleOptions {
  /** Options of the VM. @default {} */
  input?: VmInput;
  /** Region of a Rivet Engine for the VM. @default the engine's choice */
  region?: string;
  /** Ends the wait with the signal's reason. The VM may be made all the same. @default none */
  signal?: AbortSignal;
}

/** The VMs of one actor name, with what the server adds to them. */
export interface VmAccessor<Parts extends Added = NothingAdded> {
  /**
   * Returns a handle of the VM with this key. The first action creates a missing VM.
   *
   * @param key a name, or its parts such as `["team", "alice"]`: 1 to 16 strings, none empty, of at most 1,024 bytes together
   * @throws AgentVmError `invalid_argument` for any other key
   */
  getOrCreate(key: string | string[], options?: GetOrCreateVmOptions): HandleWith<Parts>;
  /**
   * Returns a handle of the VM with this key. Its actions reject with `actor_not_found` if there is no such VM.
   *
   * @param key as in `getOrCreate`
   * @throws AgentVmError `invalid_argument` for a key that no VM can have
   */
  get(key: string | string[], options?: HandleOptions): HandleWith<Parts>;
  /** Returns a handle of the VM with this actor id. Its actions reject with `actor_not_found` if there is no such VM. */
  getForId(actorId: string, options?: HandleOptions): HandleWith<Parts>;
  /**
   * Creates a VM now.
   *
   * @param key as in `getOrCreate`
   * @throws AgentVmError `duplicate_key` if a VM has this key; `invalid_argument`
   */
  create(key: string | string[], options?: CreateVmOptions): Promise<HandleWith<Parts>>;
  /**
   * Lists VMs in the order of their keys, page by page. Wakes and boots none.
   *
   * @param options `prefix`, `labels`, `state`, `limit` and `cursor`. @default the first 100 VMs
   * @throws AgentVmError `invalid_argument`; `not_supported` through an engine's gateway
   * @example
   * ```ts
   * const { vms, cursor } = await client.vm.list({ prefix: "team", state: "awake", limit: 1000 });
   * for (const { key, processes } of vms) console.log(key.join("/"), processes);
   * ```
   */
  list(options?: VmListOptions): Promise<VmPage>;
  /** Returns the options that the server lets the creator of a VM choose. Needs a token with any right. */
  options(): Promise<VmChoices>;
}

export type AnyRegistry = Registry<RegistryActors>;

/** Recognizes a VM by an action that only VMs have. An actor whose actions are unknown is not a VM. */
type AccessorOf<Definition extends AnyActorDefinition> = string extends keyof ActorHandle<Definition>
  ? ActorAccessor<Definition>
  : "beginCall" extends keyof ActorHandle<Definition>
    ? VmAccessor<AddedBy<Definition>>
    : ActorAccessor<Definition>;

/** A client of a server: one accessor for each actor of its registry. */
export type VmClient<R extends AnyRegistry> = {
  readonly [Name in keyof ExtractActorsFromRegistry<R>]: AccessorOf<ExtractActorsFromRegistry<R>[Name]>;
} & AsyncDisposable & {
    /** The tokens of the server, each for certain VMs with certain rights. */
    readonly tokens: TokensAccessor;
    /** Closes every connection of this client. `await using` does so too. */
    dispose(): Promise<void>;
  };

/** Options of `createClient()`. */
export interface ClientOptions extends ServerAddress {
  /**
   * Names of the registry's actors that are VMs; other actors get handles as RivetKit's client has them. A registry with other actors
   * needs it, because a client cannot see at run time which actor is a VM.
   * @default every actor is a VM
   */
  vms?: readonly string[];
  /** Option of RivetKit's client, without effect here. */
  getUpgradeWebSocket?: unknown;
  /** Option of RivetKit's client, without effect here: this client looks nothing up before its first call. */
  disableMetadataLookup?: boolean;
  /** Option of RivetKit's client, without effect here: there are no devtools. */
  devtools?: boolean;
}
