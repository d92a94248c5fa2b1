import type { ConnectionCore } from "./connection.ts";
import { coded, toAgentVmError } from "./errors.ts";
import type { RawHandle } from "./raw.ts";
import { SharedChannel } from "./shared-channel.ts";
import { checkArguments } from "./wire.ts";

/** Actions that may outlast the five minutes that an HTTP request can. */
const LONG_ACTIONS = new Set([
  "exec",
  "execArgv",
  "waitProcess",
  "waitShell",
  "prompt",
  "sendPrompt",
  "createSession",
  "vmFetch",
  "waitForPort",
  "importTar",
  "commitTarWrite",
  "fork",
]);

/** One actor as a client sees it: what all handles of the same key share. */
export class Target {
  readonly raw: RawHandle;
  readonly channel: SharedChannel;
  /** Connections that were opened through handles. */
  readonly connections = new Set<ConnectionCore>();

  constructor(raw: RawHandle) {
    this.raw = raw;
    this.channel = new SharedChannel(raw);
  }

  /**
   * Runs an action: over the shared connection when it may take long or the connection stands anyway, else as one
   * HTTP request. Subscriptions that were made before it reach the server before it.
   */
  async invoke(action: string, args: unknown[], signal?: AbortSignal): Promise<unknown> {
    signal?.throwIfAborted();
    for (const connection of this.connections) await connection.synced();
    if (LONG_ACTIONS.has(action) || this.channel.isOpen) return await this.channel.call(action, args, signal);
    return await this.#request(action, args, signal);
  }

  async send(queue: string, body: unknown, options?: object): Promise<unknown> {
    return await coded(this.raw.send(queue, body, options));
  }

  async dispose(): Promise<void> {
    await Promise.all([...this.connections].map((connection) => connection.dispose()));
    await this.channel.dispose();
  }

  async #request(name: string, args: unknown[], signal: AbortSignal | undefined): Promise<unknown> {
    checkArguments(name, args);
    try {
      return await this.raw.action(signal ? { name, args, signal } : { name, args });
    } catch (error) {
      signal?.throwIfAborted();
      throw toAgentVmError(error);
    }
  }
}
