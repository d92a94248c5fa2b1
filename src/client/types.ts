import type { Registry, RegistryActors } from "rivetkit";
import type {
  ActorAccessor,
  ActorConnStatus,
  ActorHandle,
  AnyActorDefinition,
  ClientConfigInput,
  CreateOptions,
  ExtractActorsFromRegistry,
  GetOptions,
  GetWithIdOptions,
} from "rivetkit/client";
import type { VmMethods } from "../api/actions.ts";
import type { AgentVmError } from "../api/errors.ts";
import type { VmEventName, VmEvents } from "../api/events.ts";
import type {
  ArchiveImport,
  Bytes,
  ExecOptions,
  ExecResult,
  ForkedVm,
  PromptResult,
  VmFetchOptions,
  VmFetchResponse,
  WaitForPortOptions,
} from "../api/types.ts";
import type { PieceSource } from "./pieces.ts";
import type { TarExport } from "./tar-export.ts";

/** How long the client waits, for calls that may take long. */
export interface CallOptions {
  /**
   * Gives up waiting: the call rejects with the signal's reason. A request of vmFetch is cut inside, and a waitForPort
   * ends; commands and everything else that a call has begun in the VM run on.
   */
  signal?: AbortSignal;
}

export interface TransferProgress {
  /** Bytes moved so far. */
  transferred: number;
  /** Bytes of the whole file. */
  total: number;
}

export interface TransferOptions {
  /** Called after each piece; small files have one. */
  onProgress?: (progress: TransferProgress) => void;
  /** Gives the transfer up. A file that was being written stays as it was. */
  signal?: AbortSignal;
}

export interface TarProgress {
  /** Bytes of the archive moved so far. */
  transferred: number;
  /** Bytes of the whole archive: about right while it is exported, `null` where a stream is imported. */
  total: number | null;
}

export interface TarTransferOptions {
  /** Called after each piece. */
  onProgress?: (progress: TarProgress) => void;
  /** Gives the transfer up. A VM into which an archive was being imported stays as it was. */
  signal?: AbortSignal;
}

/** Actions to which this client adds an argument of its own at the end; it never reaches the server. */
interface ExtendedMethods {
  exec(command: string, options?: ExecOptions, call?: CallOptions): Promise<ExecResult>;
  execArgv(
    command: string,
    args?: readonly string[],
    options?: ExecOptions,
    call?: CallOptions,
  ): Promise<ExecResult>;
  waitProcess(pid: number, call?: CallOptions): Promise<number>;
  waitShell(shellId: string, call?: CallOptions): Promise<number>;
  sendPrompt(sessionId: string, prompt: string, call?: CallOptions): Promise<PromptResult>;
  prompt(sessionId: string, text: string, call?: CallOptions): Promise<PromptResult>;
  vmFetch(port: number, path: string, options?: VmFetchOptions, call?: CallOptions): Promise<VmFetchResponse>;
  waitForPort(port: number, options?: WaitForPortOptions, call?: CallOptions): Promise<void>;
  /** Files of any size: above 8 MiB they come in pieces. */
  readFile(path: string, options?: TransferOptions): Promise<Uint8Array>;
  /** Files of any size: above 8 MiB they go in pieces, and the file is replaced when the last one has arrived. */
  writeFile(path: string, content: Bytes, options?: TransferOptions): Promise<void>;
  /**
   * Everything at and below a path that is the VM's own, as a tar archive of any size. Nothing is sent before it is
   * read, and it is lost when nobody reads on for a minute.
   *
   * @param path directory, or a single file. @default "/"
   */
  exportTar(path?: string, options?: TarTransferOptions): Promise<TarExport>;
  /** What a checkpoint keeps of the whole VM, as a tar archive of any size. */
  exportSnapshot(options?: TarTransferOptions): Promise<TarExport>;
  /**
   * Unpacks a tar archive of any size, packed with gzip or not: all of it or, after an error, nothing. Durable when it
   * resolves.
   *
   * @param path directory that it goes to; made where it is missing. @default "/"
   */
  importTar(data: PieceSource, path?: string, options?: TarTransferOptions): Promise<ArchiveImport>;
  fork(newKey: string | string[], call?: CallOptions): Promise<ForkedVm>;
}

/** The actions of a VM as this client offers them. */
export type VmClientMethods = Omit<VmMethods, keyof ExtendedMethods> & ExtendedMethods;

/** An action by its name. */
export interface ActionRequest {
  name: string;
  args: unknown[];
  signal?: AbortSignal;
}

/** What handles and connections have in common. */
interface Callable {
  /** Runs an action by its name. */
  action(request: ActionRequest): Promise<unknown>;
}

/** RivetKit's own parts of a handle, as they are. */
type RivetHandle = Pick<ActorHandle<AnyActorDefinition>, "fetch" | "webSocket" | "resolve" | "getGatewayUrl">;

/** A VM by its key or id. Making one sends nothing. */
export type VmHandle = VmClientMethods &
  Callable &
  RivetHandle & {
    /** Opens a connection for events; actions on it share it and do not wait for each other. */
    connect(): VmConnection;
  };

/** A standing connection to a VM, which comes back by itself when it breaks. */
export type VmConnection = VmClientMethods &
  Callable & {
    /** Subscribes to an event. @returns a function that ends the subscription. */
    on<Name extends VmEventName>(event: Name, callback: (payload: VmEvents[Name]) => void): () => void;
    /** Subscribes to an event's next occurrence. */
    once<Name extends VmEventName>(event: Name, callback: (payload: VmEvents[Name]) => void): () => void;
    /** Told when a connection ended or could not be made. */
    onError(callback: (error: AgentVmError) => void): () => void;
    onOpen(callback: () => void): () => void;
    onClose(callback: () => void): () => void;
    onStatusChange(callback: (status: ActorConnStatus) => void): () => void;
    readonly connStatus: ActorConnStatus;
    readonly isConnected: boolean;
    /** Closes the connection; calls that wait reject with `connection_lost`. */
    dispose(): Promise<void>;
  };

/** The VMs of one actor name. */
export interface VmAccessor {
  /** The VM of a key, made with its first action if there is none. */
  getOrCreate(key?: string | string[], options?: GetOptions): VmHandle;
  /** The VM of a key; its actions fail with `actor_not_found` if there is none. */
  get(key?: string | string[], options?: GetWithIdOptions): VmHandle;
  getForId(actorId: string, options?: GetWithIdOptions): VmHandle;
  /** Makes a VM now; a key that is taken is an error. */
  create(key?: string | string[], options?: CreateOptions): Promise<VmHandle>;
}

export type AnyRegistry = Registry<RegistryActors>;

/** Tells a VM from other actors by an action that only VMs have; an actor of unknown actions is no VM. */
type AccessorOf<Definition extends AnyActorDefinition> = string extends keyof ActorHandle<Definition>
  ? ActorAccessor<Definition>
  : "beginCall" extends keyof ActorHandle<Definition>
    ? VmAccessor
    : ActorAccessor<Definition>;

/** A client of a server: one accessor for each actor of its registry. */
export type VmClient<R extends AnyRegistry> = {
  readonly [Name in keyof ExtractActorsFromRegistry<R>]: AccessorOf<ExtractActorsFromRegistry<R>[Name]>;
} & {
  /** Closes every connection that was opened through this client. */
  dispose(): Promise<void>;
};

export interface ClientOptions extends Omit<ClientConfigInput, "disableMetadataLookup" | "devtools"> {
  /** The server's address. @default RIVET_ENDPOINT, else "http://localhost:6420" */
  endpoint?: string;
  /** The server's token, where it asks for one. */
  token?: string;
}
