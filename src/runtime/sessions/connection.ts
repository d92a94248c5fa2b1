import {
  AGENT_METHODS,
  type ClientCapabilities,
  type InitializeResponse,
  PROTOCOL_VERSION,
} from "@agentclientprotocol/sdk";
import { z } from "zod";
import { AgentVmError } from "../../api/errors.ts";
import { AGENT_START_TIMEOUT_MS, MAX_AGENT_TRAITS_BYTES } from "../../api/limits.ts";
import { fitsJson } from "../../api/size.ts";
import type { JsonRpcResponse } from "../../api/types.ts";
import type { CommandRequest, Sandbox } from "../sandbox/sandbox.ts";
import { AgentProcess, agentCrashed, agentFailed, excerpt } from "./agent-process.ts";
import { type RpcHandlers, RpcPeer } from "./rpc.ts";

/** What we do for agents; see client-requests.ts. Elicitation is declined, and therefore not offered. */
function clientCapabilities(files: boolean): ClientCapabilities {
  return {
    fs: { readTextFile: files, writeTextFile: files },
    terminal: true,
    session: { configOptions: { boolean: {} } },
  };
}

const CLIENT_INFO = { name: "agent-vm", title: "agent-vm", version: "0.1.0" };

const initializeSchema = z.looseObject({
  protocolVersion: z.number(),
  agentCapabilities: z.looseObject({}).nullish(),
  agentInfo: z.looseObject({}).nullish(),
});

/** What an agent said of itself. */
export type AgentTraits = Pick<InitializeResponse, "agentCapabilities" | "agentInfo">;

export interface ConnectionOptions {
  /** What the agent wants to be authenticated with, where it does. */
  authMethod: string | undefined;
  /** Whether it is offered to read and write files through us. */
  clientFiles: boolean;
}

/** A running agent that one can talk to. */
export class AgentConnection {
  readonly agentType: string;
  readonly process: AgentProcess;
  readonly #rpc: RpcPeer;
  /** What went wrong, by the error that says so. */
  readonly #failures = new WeakMap<AgentVmError, string>();
  #traits: AgentTraits = {};
  #stopping = false;

  private constructor(agentType: string, process: AgentProcess, rpc: RpcPeer) {
    this.agentType = agentType;
    this.process = process;
    this.#rpc = rpc;
    void process.ended.then((end) => rpc.fail(agentCrashed(agentType, end)));
  }

  /** Starts an agent, which has to be initialized before it is asked for anything. */
  static async start(
    sandbox: Sandbox,
    agentType: string,
    request: CommandRequest,
    handlers: RpcHandlers,
  ): Promise<AgentConnection> {
    let rpc: RpcPeer | undefined;
    const process = await AgentProcess.start(sandbox, request, (line) => rpc?.receive(line));
    rpc = new RpcPeer(
      {
        send: (line) => process.write(line),
        busy: (isBusy) => process.hold("requests", isBusy),
        broken: (fault) => process.killFor(fault),
      },
      handlers,
    );
    return new AgentConnection(agentType, process, rpc);
  }

  get traits(): AgentTraits {
    return this.#traits;
  }

  /** `true` once it has been told to end: that it does is no crash. */
  get isStopping(): boolean {
    return this.#stopping;
  }

  /**
   * Asks the agent.
   *
   * @param onSettled see RpcPeer.
   * @throws AgentVmError `agent_crashed` when the agent ends instead of answering.
   */
  request(
    method: string,
    params: unknown,
    onSettled?: (response: JsonRpcResponse) => void,
  ): Promise<JsonRpcResponse> {
    return this.#rpc.request(method, params, onSettled);
  }

  /** The same for what has to be answered in time. @throws AgentVmError `agent_failed` */
  async requestWithin(
    timeoutMs: number,
    method: string,
    params: unknown,
    onSettled?: (response: JsonRpcResponse) => void,
  ): Promise<JsonRpcResponse> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      const fail = () => reject(this.failure(`did not answer ${method} within ${timeoutMs} ms`));
      timer = setTimeout(fail, timeoutMs);
    });
    try {
      return await Promise.race([this.request(method, params, onSettled), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  notify(method: string, params: unknown): void {
    this.#rpc.notify(method, params);
  }

  failure(what: string): AgentVmError {
    const failure = agentFailed(this.agentType, what, { stderr: this.process.stderr });
    this.#failures.set(failure, what);
    return failure;
  }

  /** It is going to end with its VM. */
  expectEnd(): void {
    this.#stopping = true;
  }

  /** @param closing what the agent is told before, where it offers to be told. */
  async stop(closing?: { method: string; params: unknown }): Promise<void> {
    this.#stopping = true;
    // Whoever ends itself at once need not answer.
    if (closing) this.request(closing.method, closing.params).catch(() => undefined);
    await this.process.stop();
  }

  async kill(): Promise<void> {
    this.#stopping = true;
    await this.process.kill();
  }

  /** Exchanges what both sides can do. @throws AgentVmError `agent_failed` */
  async initialize({ authMethod, clientFiles }: ConnectionOptions): Promise<void> {
    const traits = await this.#ask(AGENT_METHODS.initialize, {
      protocolVersion: PROTOCOL_VERSION,
      clientCapabilities: clientCapabilities(clientFiles),
      clientInfo: CLIENT_INFO,
    });
    const { success, data } = initializeSchema.safeParse(traits);
    if (!success) throw this.failure("answered initialize with something else than the protocol has");
    if (data.protocolVersion !== PROTOCOL_VERSION) {
      throw this.failure(
        `speaks version ${data.protocolVersion} of the Agent Client Protocol, not ${PROTOCOL_VERSION}`,
      );
    }
    if (!fitsJson([data.agentCapabilities, data.agentInfo], MAX_AGENT_TRAITS_BYTES)) {
      throw this.failure(`tells more than ${MAX_AGENT_TRAITS_BYTES} bytes of itself`);
    }
    this.#traits = {
      agentCapabilities: data.agentCapabilities ?? {},
      agentInfo: (data.agentInfo ?? null) as AgentTraits["agentInfo"] & {},
    };
    if (authMethod !== undefined) await this.#ask(AGENT_METHODS.authenticate, { methodId: authMethod });
  }

  async #ask(method: string, params: unknown): Promise<unknown> {
    const { result, error } = await this.requestWithin(AGENT_START_TIMEOUT_MS, method, params);
    if (error) throw this.failure(`refused ${method}: ${excerpt(error.message)}`);
    return result;
  }

  /**
   * Ends an agent whose start has failed.
   *
   * @returns what it failed of: an agent that ends in it has not crashed, it did not start. Its stderr is whole: it comes
   * by another way than its answers, and mostly after them.
   */
  async startFailure(error: unknown, signal: AbortSignal): Promise<unknown> {
    const isCrash = !this.#stopping && error instanceof AgentVmError && error.code === "agent_crashed";
    if (!isCrash) await this.kill();
    const end = await this.process.ended;
    if (signal.aborted) return signal.reason;
    if (isCrash) return agentFailed(this.agentType, "did not start", end);
    const what = error instanceof AgentVmError ? this.#failures.get(error) : undefined;
    return what === undefined ? error : agentFailed(this.agentType, what, { stderr: end.stderr });
  }
}
