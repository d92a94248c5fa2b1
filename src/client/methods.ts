import { NULLABLE_METHODS, SIGNAL_METHODS } from "../api/methods/facts.ts";
import type { ConnectTerminalOptions } from "../api/methods/shells.ts";
import type { ArchiveImport, ForkedVm, ForkOptions } from "../api/methods/snapshot-types.ts";
import type { Bytes } from "../api/values.ts";
import type { Ask, Ways } from "./bodies.ts";
import { fetchStream } from "./fetch-stream.ts";
import type { Link } from "./link.ts";
import type { PieceSource } from "./pieces.ts";
import { toAgentVmError } from "./rivet/errors.ts";
import type { ActionRequest } from "./rivet/raw.ts";
import {
  type AttachOptions,
  attach,
  type RunningCommand,
  type RunOptions,
  type RunResult,
  run,
} from "./run.ts";
import { exportTar, importTar } from "./tar.ts";
import type { TarExport } from "./tar-export.ts";
import type { Target } from "./target.ts";
import { openTerminal, type Terminal, type TerminalOptions } from "./terminal.ts";
import { type Invoke, readFile, readFileStream, writeFile, writeFileStream } from "./transfer.ts";
import type {
  ReadFileOptions,
  TarTransferOptions,
  TransferOptions,
  VmFetchStreamOptions,
  WriteStreamOptions,
} from "./transfer-types.ts";
import { openTunnel } from "./tunnel/tunnel.ts";
import { openTunnelOut } from "./tunnel/tunnel-out.ts";
import type { Tunnel, TunnelOptions, TunnelOut, TunnelOutOptions } from "./tunnel/types.ts";
import { openVmWebSocket } from "./tunnel/web-socket.ts";
import type { CallOptions } from "./types.ts";

/** Common methods of handles and connections. Every other property is the action of that name. */
export abstract class Methods {
  abstract readonly invoke: Invoke;
  /** The VM. */
  protected abstract readonly target: Target;
  /** Sends a request to the VM's actor. */
  abstract readonly ask: Ask;
  /** Asks the VM's actor for bytes. */
  abstract readonly download: Ways["download"];
  /** Whether the client, or this connection, was disposed. */
  abstract readonly isDisposed: boolean;
  /** Resolves when the connections to a destroyed VM have ended. */
  protected abstract ended(): Promise<void>;
  /** Returns a link for a terminal, and keeps the link open until `release`. */
  protected abstract line(): { link: Link; invoke: Invoke; release(): void };

  async action({ name, args, signal }: ActionRequest): Promise<unknown> {
    return await this.invoke(name, args, signal);
  }

  async destroy(): Promise<void> {
    try {
      await this.invoke("destroy", []);
    } catch (error) {
      // The connection may close before it has carried the answer.
      if (toAgentVmError(error).code !== "vm_destroyed") throw error;
    }
    // A call over a connection to the destroyed VM would fail.
    await this.ended();
  }

  async readFile(
    path: string,
    { stream = false, ...options }: ReadFileOptions = {},
  ): Promise<Uint8Array | ReadableStream<Uint8Array>> {
    return stream ? await readFileStream(this, path, options) : await readFile(this, path, options);
  }

  async writeFile(
    path: string,
    content: Bytes | ReadableStream<Uint8Array>,
    options?: TransferOptions | WriteStreamOptions,
  ): Promise<void> {
    if (content instanceof ReadableStream)
      await writeFileStream(this, path, content, options as WriteStreamOptions);
    else await writeFile(this, path, content, options as TransferOptions);
  }

  async vmFetch(...received: unknown[]): Promise<unknown> {
    const [port, path, options, call] = received as [number, string, VmFetchStreamOptions?, CallOptions?];
    if (options?.stream === true) return await fetchStream(this.ask, port, path, options, call?.signal);
    const { args, signal } = splitOptions("vmFetch", received);
    return await this.invoke("vmFetch", args, signal);
  }

  async exportTar(path = "/", options?: TarTransferOptions): Promise<TarExport> {
    return await exportTar(this, [path], options);
  }

  async exportSnapshot(options?: TarTransferOptions): Promise<TarExport> {
    return await exportTar(this, [], options);
  }

  async importTar(data: PieceSource, path = "/", options?: TarTransferOptions): Promise<ArchiveImport> {
    return await importTar(this, data, path, options);
  }

  async fork(
    newKey: string | string[],
    { signal, ...options }: ForkOptions & CallOptions = {},
  ): Promise<ForkedVm> {
    // A server of an earlier release does not take options.
    const args = Object.keys(options).length === 0 ? [newKey] : [newKey, options];
    return (await this.invoke("fork", args, signal)) as ForkedVm;
  }

  async run(command: string, options?: RunOptions): Promise<RunResult | RunningCommand> {
    return await this.#following((invoke) => run(invoke, command, null, options));
  }

  async runArgv(
    command: string,
    args: readonly string[] = [],
    options?: RunOptions,
  ): Promise<RunResult | RunningCommand> {
    return await this.#following((invoke) => run(invoke, command, args, options));
  }

  async attach(pid: number, options?: AttachOptions): Promise<RunResult | RunningCommand> {
    return await this.#following((invoke) => attach(invoke, pid, options));
  }

  async tunnel(options: TunnelOptions): Promise<Tunnel> {
    return await this.target.keep(openTunnel(this.target.raw, options));
  }

  async tunnelOut(options: TunnelOutOptions): Promise<TunnelOut> {
    return await this.target.keep(openTunnelOut(this.target.raw, options));
  }

  async vmWebSocket(port: number, path?: string, protocols?: string | string[]): Promise<WebSocket> {
    return await openVmWebSocket(this.target.raw, port, path, protocols);
  }

  /** Keeps a connection open for work that consists of several calls. */
  async #following<Result>(work: (invoke: Invoke) => Promise<Result>): Promise<Result> {
    const { invoke, release } = this.line();
    try {
      return await work(invoke);
    } finally {
      release();
    }
  }

  async connectTerminal(options?: ConnectTerminalOptions): Promise<number> {
    return (await this.terminal(options)).pid;
  }

  async terminal(options?: TerminalOptions): Promise<Terminal> {
    const { link, invoke, release } = this.line();
    try {
      const terminal = await openTerminal({ link, invoke }, options);
      terminal.exited.then(release, release);
      return terminal;
    } catch (error) {
      release();
      throw error;
    }
  }
}

/** Gives a handle or a connection of a VM a method for every action, including actions that this version does not know. */
export function withActions<Core extends Methods>(core: Core): object {
  return withCalls(core, async (name, received) => {
    const { args, signal } = splitOptions(name, received);
    const output = await core.invoke(name, args, signal);
    // An action without a result answers null, because JSON has no undefined.
    return output === null && !NULLABLE_METHODS.has(name) ? undefined : output;
  });
}

/** Gives an object a method for every name that it has no property for. */
export function withCalls(core: object, call: (name: string, args: unknown[]) => Promise<unknown>): object {
  const methods = new Map<string, (...args: unknown[]) => Promise<unknown>>();
  const methodOf = (name: string) => {
    let method = methods.get(name);
    if (!method) {
      method = (...args) => call(name, args);
      methods.set(name, method);
    }
    return method;
  };
  return new Proxy(core, {
    get(target, property) {
      if (typeof property === "symbol" || property in target) {
        const value: unknown = Reflect.get(target, property, target);
        return typeof value === "function" ? value.bind(target) : value;
      }
      // `await` looks for `then`: a handle is not a promise.
      return property === "then" ? undefined : methodOf(property);
    },
    has: (target, property) => typeof property === "string" || Reflect.has(target, property),
  });
}

/** Splits `CallOptions` off the arguments of a method that takes them. */
function splitOptions(name: string, args: unknown[]): { args: unknown[]; signal?: AbortSignal } {
  const at = SIGNAL_METHODS.get(name);
  if (at === undefined || args.length !== at + 1) return { args };
  const options = args[at];
  if (typeof options !== "object" || options === null) return { args };
  // The server refuses other options.
  if (!Object.keys(options).every((key) => key === "signal")) return { args };
  return { args: args.slice(0, at), ...(options as { signal?: AbortSignal }) };
}
