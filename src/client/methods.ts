import { invalidArgument } from "../api/errors.ts";
import { NULLABLE_METHODS, SIGNAL_METHODS } from "../api/methods/facts.ts";
import type { StartedAt } from "../api/methods/process-types.ts";
import type { ConnectTerminalOptions } from "../api/methods/shells.ts";
import type { ArchiveImport, ForkedVm, ForkOptions } from "../api/methods/snapshot-types.ts";
import type { Bytes } from "../api/values.ts";
import type { Ways } from "./bodies.ts";
import { fetchStream } from "./fetch-stream.ts";
import type { Link } from "./link.ts";
import {
  abortSignal,
  anything,
  aPath,
  callback,
  check,
  checkCount,
  checkOptions,
  flag,
  type Rules,
  someText,
} from "./options.ts";
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
import {
  type Invoke,
  readFile,
  readFileStream,
  writeFile,
  writeFileBlob,
  writeFileStream,
} from "./transfer.ts";
import type {
  ReadFileOptions,
  TarTransferOptions,
  TransferOptions,
  VmFetchClientOptions,
  VmFetchStreamOptions,
  WriteStreamOptions,
} from "./transfer-types.ts";
import { openTunnel } from "./tunnel/tunnel.ts";
import { openTunnelOut } from "./tunnel/tunnel-out.ts";
import type { Tunnel, TunnelOptions, TunnelOut, TunnelOutOptions } from "./tunnel/types.ts";
import { openVmWebSocket } from "./tunnel/web-socket.ts";
import type { CallOptions } from "./types.ts";
import { checkCrossing } from "./wire.ts";

const CALL_OPTIONS: Rules<CallOptions> = { signal: abortSignal };
const TRANSFER_OPTIONS: Rules<TransferOptions> = { onProgress: callback, signal: abortSignal };
const READ_OPTIONS: Rules<ReadFileOptions> = { stream: flag, ...TRANSFER_OPTIONS };

/** A handle or a connection of a VM. */
export interface VmCore extends Ways {
  readonly target: Target;
  /** Resolves when the connections to a destroyed VM have ended. */
  ended(): Promise<void>;
  /** Returns a link for a terminal, and keeps the link open until `release`. Calls of `patient` wait for a connection. */
  line(): { link: Link; invoke: Invoke; patient: Invoke; release(): void };
}

/** Common methods of handles and connections. Every other property is the action of that name. */
export class Methods {
  readonly #vm: VmCore;

  constructor(vm: VmCore) {
    this.#vm = vm;
  }

  async action(request: ActionRequest): Promise<unknown> {
    const { name, args, signal } = checkRequest(request);
    return await this.#vm.invoke(name, args, signal);
  }

  async destroy(): Promise<void> {
    try {
      await this.#vm.invoke("destroy", []);
    } catch (error) {
      // The connection may close before it has carried the answer.
      if (toAgentVmError(error).code !== "vm_destroyed") throw error;
    }
    // A call over a connection to the destroyed VM would fail.
    await this.#vm.ended();
  }

  async readFile(...args: unknown[]): Promise<Uint8Array | ReadableStream<Uint8Array>> {
    const [path, given] = args as [string, ReadFileOptions?];
    checkCount("readFile", 2, args);
    checkPath("readFile", 0, path);
    checkOptions("readFile", given, READ_OPTIONS);
    const { stream = false, ...options } = given ?? {};
    return stream ? await readFileStream(this.#vm, path, options) : await readFile(this.#vm, path, options);
  }

  async writeFile(...args: unknown[]): Promise<void> {
    const [path, content, given] = args as [
      string,
      Bytes | Blob | ReadableStream<Uint8Array>,
      TransferOptions?,
    ];
    checkCount("writeFile", 3, args);
    checkPath("writeFile", 0, path);
    checkOptions("writeFile", given, TRANSFER_OPTIONS);
    const options = given ?? {};
    if (content instanceof ReadableStream)
      await writeFileStream(this.#vm, path, content, options as WriteStreamOptions);
    else if (content instanceof Blob) await writeFileBlob(this.#vm, path, content, options);
    else await writeFile(this.#vm, path, content, options);
  }

  async vmFetch(...received: unknown[]): Promise<unknown> {
    const { args, signal } = splitOptions("vmFetch", received);
    type Options = VmFetchClientOptions | VmFetchStreamOptions;
    const [port, path, options, ...rest] = args as [number, string, Options?, ...unknown[]];
    if (typeof options !== "object" || options === null)
      return await this.#vm.invoke("vmFetch", args, signal);
    const { stream, ...sent } = options;
    if (stream !== undefined) check("stream", stream, flag);
    if (stream) {
      checkCount("vmFetch", 4, received);
      return await fetchStream(this.#vm, port, path, sent, signal);
    }
    if (sent.body instanceof Blob) sent.body = new Uint8Array(await sent.body.arrayBuffer());
    return await this.#vm.invoke("vmFetch", [port, path, sent, ...rest], signal);
  }

  async exportTar(...args: unknown[]): Promise<TarExport> {
    checkCount("exportTar", 2, args);
    const path = args[0] ?? "/";
    checkPath("exportTar", 0, path);
    return await exportTar(this.#vm, [path], tarOptions("exportTar", args[1]));
  }

  async exportSnapshot(...args: unknown[]): Promise<TarExport> {
    checkCount("exportSnapshot", 1, args);
    return await exportTar(this.#vm, [], tarOptions("exportSnapshot", args[0]));
  }

  async importTar(...args: unknown[]): Promise<ArchiveImport> {
    checkCount("importTar", 3, args);
    const [data, path, options] = args as [PieceSource, string?, TarTransferOptions?];
    checkPath("importTar", 1, path ?? "/");
    return await importTar(this.#vm, data, path ?? "/", tarOptions("importTar", options));
  }

  async fork(newKey: string | string[], options?: ForkOptions & CallOptions): Promise<ForkedVm> {
    return (await this.#withSignal("fork", newKey, options)) as ForkedVm;
  }

  async waitProcess(pid: number, options?: StartedAt & CallOptions): Promise<number> {
    return (await this.#withSignal("waitProcess", pid, options)) as number;
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

  /** Calls a method whose signal is among its options. */
  async #withSignal(action: string, first: unknown, given?: CallOptions): Promise<unknown> {
    const { signal, ...options } = given ?? {};
    checkOptions(action, { signal }, CALL_OPTIONS);
    // A server of an earlier release does not take options.
    const args = Object.keys(options).length === 0 ? [first] : [first, options];
    return await this.#vm.invoke(action, args, signal);
  }

  async tunnel(options: TunnelOptions): Promise<Tunnel> {
    return await this.#vm.target.keep(openTunnel(this.#vm.target.raw, options));
  }

  async tunnelOut(options: TunnelOutOptions): Promise<TunnelOut> {
    return await this.#vm.target.keep(openTunnelOut(this.#vm.target.raw, options));
  }

  async vmWebSocket(port: number, path?: string, protocols?: string | string[]): Promise<WebSocket> {
    return await openVmWebSocket(this.#vm.target.raw, port, path, protocols);
  }

  /** Keeps a connection open for work that consists of several calls. */
  async #following<Result>(work: (invoke: Invoke) => Promise<Result>): Promise<Result> {
    const { invoke, release } = this.#vm.line();
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
    const { release, ...line } = this.#vm.line();
    try {
      const terminal = await openTerminal(line, options);
      terminal.exited.then(release, release);
      return terminal;
    } catch (error) {
      release();
      throw error;
    }
  }
}

/** Gives a handle or a connection of a VM a method for every action, including actions that this version does not know. */
export function withActions(vm: VmCore): object {
  return withCalls([vm, new Methods(vm)], async (name, received) => {
    const { args, signal } = splitOptions(name, received);
    const output = await vm.invoke(name, args, signal);
    // An action without a result answers null, because JSON has no undefined.
    return output === null && !NULLABLE_METHODS.has(name) ? undefined : output;
  });
}

/**
 * Makes one object of parts, with a method for every name that no part has a property for.
 *
 * @param parts the first part with a property of a name gives it
 */
export function withCalls(
  parts: readonly [object, ...object[]],
  call: (name: string, args: unknown[]) => Promise<unknown>,
): object {
  const methods = new Map<string, (...args: unknown[]) => Promise<unknown>>();
  const methodOf = (name: string) => {
    let method = methods.get(name);
    if (!method) {
      method = (...args) => call(name, args);
      methods.set(name, method);
    }
    return method;
  };
  return new Proxy(parts[0], {
    get(_target, property) {
      const part = parts.find((part) => property in part);
      if (part !== undefined) {
        const value: unknown = Reflect.get(part, property, part);
        // `await using` of Node 24 refuses a function that bind() has made.
        return typeof value === "function" ? (...args: unknown[]) => Reflect.apply(value, part, args) : value;
      }
      // `await` looks for `then`: a handle is not a promise.
      return typeof property === "symbol" || property === "then" ? undefined : methodOf(property);
    },
    has: (target, property) => typeof property === "string" || Reflect.has(target, property),
  });
}

/** Checks a path. The VM checks that it is absolute. @param position place of the path among the arguments */
function checkPath(action: string, position: number, path: unknown): void {
  checkCrossing(action, [...new Array<undefined>(position), path]);
  check("path", path, aPath);
}

/** Checks the options of a transfer of an archive. */
function tarOptions(action: string, options: unknown): TarTransferOptions {
  checkOptions(action, options, TRANSFER_OPTIONS);
  return options ?? {};
}

/** @throws AgentVmError `invalid_argument` for a request that names no action */
function checkRequest(request: unknown): ActionRequest {
  const { name, args, signal } = Object(request) as Partial<ActionRequest>;
  if (typeof name !== "string" || name === "")
    throw invalidArgument("request", "an object with `name` and `args`", request);
  if (!Array.isArray(args)) throw invalidArgument("args", "an array", args);
  checkOptions("action", request, { name: someText, args: anything, signal: abortSignal });
  return { name, args, ...(signal && { signal }) };
}

/** Splits `CallOptions` off the arguments of a method that takes them. */
function splitOptions(name: string, args: unknown[]): { args: unknown[]; signal?: AbortSignal } {
  const at = SIGNAL_METHODS.get(name);
  if (at === undefined || args.length !== at + 1) return { args };
  const options = args[at];
  if (typeof options !== "object" || options === null) return { args };
  checkOptions(name, options, CALL_OPTIONS);
  const { signal } = options as { signal?: AbortSignal | null };
  return { args: args.slice(0, at), ...(signal && { signal }) };
}
