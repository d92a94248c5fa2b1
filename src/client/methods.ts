import type { AgentVmError } from "../api/errors.ts";
import type { ArchiveImport, Bytes, ConnectTerminalOptions } from "../api/types.ts";
import type { Link } from "./link.ts";
import type { PieceSource } from "./pieces.ts";
import { exportTar, importTar } from "./tar.ts";
import type { TarExport } from "./tar-export.ts";
import { openTerminal, type Terminal } from "./terminal.ts";
import { type Invoke, readFile, writeFile } from "./transfer.ts";
import type { ActionRequest, TarTransferOptions, TransferOptions } from "./types.ts";

/** Where an action takes this client's own options, counted from 0. */
const CALL_OPTIONS_AT: Record<string, number> = {
  exec: 2,
  execArgv: 3,
  waitProcess: 1,
  waitShell: 1,
  vmFetch: 3,
  waitForPort: 2,
  fork: 1,
  sendPrompt: 2,
  prompt: 2,
};

/** Actions whose result may be null. */
const NULLABLE_RESULTS = new Set(["getModes"]);

/** What handles and connections do alike; every other property is the action of that name. */
export abstract class Methods {
  abstract readonly invoke: Invoke;
  /** The connection that carries a terminal's output, and what keeps it open meanwhile. */
  protected abstract line(): { link: Link; invoke: Invoke; release(): void };

  async action({ name, args, signal }: ActionRequest): Promise<unknown> {
    return await this.invoke(name, args, signal);
  }

  async readFile(path: string, options?: TransferOptions): Promise<Uint8Array> {
    try {
      return await readFile(this.invoke, path, options);
    } catch (error) {
      // An actor of another kind, with a readFile of its own.
      if ((error as AgentVmError).code !== "action_not_found") throw error;
      return (await this.invoke("readFile", [path, options])) as Uint8Array;
    }
  }

  async writeFile(path: string, content: Bytes, options?: TransferOptions): Promise<void> {
    await writeFile(this.invoke, path, content, options);
  }

  async exportTar(path = "/", options?: TarTransferOptions): Promise<TarExport> {
    return await exportTar(this.invoke, [path], options);
  }

  async exportSnapshot(options?: TarTransferOptions): Promise<TarExport> {
    return await exportTar(this.invoke, [], options);
  }

  async importTar(data: PieceSource, path = "/", options?: TarTransferOptions): Promise<ArchiveImport> {
    return await importTar(this.invoke, data, path, options);
  }

  async connectTerminal(options?: ConnectTerminalOptions): Promise<number> {
    return (await this.terminal(options)).pid;
  }

  async terminal(options?: ConnectTerminalOptions): Promise<Terminal> {
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

const cores = new WeakMap<object, Methods>();

/** What stands behind a handle or a connection that `withActions` made. */
export function coreOf(proxy: object): Methods | undefined {
  return cores.get(proxy);
}

/** Gives an object a method for every action there is, also for those that this version does not know. */
export function withActions<Core extends Methods>(core: Core): object {
  const actions = new Map<string, (...args: unknown[]) => Promise<unknown>>();
  const actionOf = (name: string) => {
    let method = actions.get(name);
    if (!method) {
      method = async (...received) => {
        const { args, signal } = splitOptions(name, received);
        const output = await core.invoke(name, args, signal);
        // Actions without a result answer null, which every encoding knows.
        return output === null && !NULLABLE_RESULTS.has(name) ? undefined : output;
      };
      actions.set(name, method);
    }
    return method;
  };
  const proxy = new Proxy(core, {
    get(target, property) {
      if (typeof property === "symbol" || property in target) {
        const value: unknown = Reflect.get(target, property, target);
        return typeof value === "function" ? value.bind(target) : value;
      }
      // A handle is no promise: `await` looks for this.
      return property === "then" ? undefined : actionOf(property);
    },
    has: (target, property) => typeof property === "string" || Reflect.has(target, property),
  });
  cores.set(proxy, core);
  return proxy;
}

function splitOptions(action: string, args: unknown[]): { args: unknown[]; signal?: AbortSignal } {
  const at = CALL_OPTIONS_AT[action];
  if (at === undefined || args.length !== at + 1) return { args };
  const options = args[at];
  if (typeof options !== "object" || options === null) return { args };
  // Anything else is for the server to refuse.
  if (!Object.keys(options).every((key) => key === "signal")) return { args };
  return { args: args.slice(0, at), ...(options as { signal?: AbortSignal }) };
}
