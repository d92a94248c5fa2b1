import {
  AGENT_METHODS,
  type ClientCapabilities,
  type InitializeResponse,
  PROTOCOL_VERSION,
} from "@agentclientprotocol/sdk";
import { z } from "zod";
import { AgentVmError } from "../../../api/errors.ts";
import type { JsonRpcResponse } from "../../../api/methods/session-types.ts";
import { fitsJson } from "../../../api/size.ts";
import type { ByteShare } from "../../../base/byte-share.ts";
import { packageVersion } from "../../../base/package-version.ts";
import { within } from "../../../base/within.ts";
import type { CommandRequest } from "../../sandbox/processes.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import { AGENT_START_TIMEOUT_MS, MAX_AGENT_TRAITS_BYTES } from "../limits.ts";
import { AgentProcess, agentCrashed, agentFailed, excerpt } from "./agent-process.ts";
import { type RpcHandlers, RpcPeer } from "./rpc.ts";

/** Capabilities that the server offers to agents; see client-requests.ts. The server declines elicitation. */
function clientCapabilities(files: boolean): ClientCapabilities {
  return {
    fs: { readTextFile: files, writeTextFile: files },
    terminal: true,
    session: { configOptions: { boolean: {} } },
  };
}

const CLIENT_INFO = { name: "agent-vm", title: "agent-vm", version: packageVersion() };

const initializeSchema = z.looseObject({
  protocolVersion: z.number(),
  agentCapabilities: z.looseObject({}).nullish(),
  agentInfo: z.looseObject({}).nullish(),
});

/** Capabilities and name that an agent reported in its answer to `initialize`. */
export type AgentTraits = Pick<InitializeResponse, "agentCapabilities" | "agentInfo">;

interface ConnectionOptions {
  /** Method id for `authenticate`; `undefined` sends no `authenticate`. */
  authMethod: string | undefined;
  /** Whether the server offers the agent to read and write files through ACP. */
  clientFiles: boolean;
}

/** A running agent and its JSON-RPC connection. */
export class AgentConnection {
  readonly agentType: string;
  readonly process: AgentProcess;
  readonly #rpc: RpcPeer;
  /** Text of each error from `failure`, so that `startFailure` can repeat it with the full stderr. */
  readonly #failures = new WeakMap<AgentVmError, string>();
  #traits: AgentTraits = {};
  #stopping = false;
  /** Error of the requests that the expected end of the agent leaves without an answer. */
  #endReason: AgentVmError | undefined;

  private constructor(agentType: string, process: AgentProcess, rpc: RpcPeer) {
    this.agentType = agentType;
    this.process = process;
    this.#rpc = rpc;
    void process.ended.then((end) => rpc.fail(this.#endReason ?? agentCrashed(agentType, end)));
  }

  /** Starts an agent. Call `initialize` before any other request. */
  static async start(
    { sandbox, memory }: { sandbox: Sandbox; memory: ByteShare },
    agentType: string,
    request: CommandRequest,
    handlers: RpcHandlers,
  ) {
    let rpc: RpcPeer | undefined;
    const process = await AgentProcess.start(sandbox, request, memory, (line) => rpc?.receive(line));
    rpc = new RpcPeer(
      {
        send: (line) => process.write(line),
        busy: (isBusy) => process.setPaused("requests", isBusy),
        broken: (fault) => process.killFor(fault),
      },
      handlers,
      memory,
    );
    return new AgentConnection(agentType, process, rpc);
  }

  get traits(): AgentTraits {
    return this.#traits;
  }

  /** `true` once the server has asked the agent to end. Its end is then not a crash. */
  get isStopping(): boolean {
    return this.#stopping;
  }

  /**
   * Sends a request to the agent.
   *
   * @param onResponse see RpcPeer
   * @throws AgentVmError `agent_crashed` if the agent ends instead of answering, or the reason of its expected end
   */
  request(method: string, params: unknown, onResponse?: (response: JsonRpcResponse) => void) {
    return this.#rpc.request(method, params, onResponse);
  }

  /** Sends a request with a timeout. @throws AgentVmError `agent_failed` after the timeout, else like `request` */
  async requestWithin(
    timeoutMs: number,
    method: string,
    params: unknown,
    onResponse?: (response: JsonRpcResponse) => void,
  ): Promise<JsonRpcResponse> {
    const response = await within(this.request(method, params, onResponse), timeoutMs);
    if (response === undefined) throw this.failure(`did not answer ${method} within ${timeoutMs} ms`);
    return response;
  }

  notify(method: string, params: unknown): void {
    this.#rpc.notify(method, params);
  }

  failure(event: string): AgentVmError {
    const failure = agentFailed(this.agentType, event, { stderr: this.process.stderr });
    this.#failures.set(failure, event);
    return failure;
  }

  /** Marks the coming end of the agent as expected. @param reason error of requests that it leaves without an answer */
  expectEnd(reason: AgentVmError): void {
    this.#stopping = true;
    this.#endReason ??= reason;
  }

  /** @param closing request to send first, if the agent supports one */
  async stop(reason: AgentVmError, closing?: { method: string; params: unknown }): Promise<void> {
    this.expectEnd(reason);
    // The agent may end without an answer.
    if (closing) this.request(closing.method, closing.params).catch(() => undefined);
    await this.process.stop();
  }

  async kill(): Promise<void> {
    this.#stopping = true;
    await this.process.kill();
  }

  /** Exchanges capabilities with the agent and authenticates. @throws AgentVmError `agent_failed` */
  async initialize({ authMethod, clientFiles }: ConnectionOptions): Promise<void> {
    const traits = await this.#ask(AGENT_METHODS.initialize, {
      protocolVersion: PROTOCOL_VERSION,
      clientCapabilities: clientCapabilities(clientFiles),
      clientInfo: CLIENT_INFO,
    });
    const { success, data } = initializeSchema.safeParse(traits);
    if (!success) throw this.failure("sent an invalid answer to initialize");
    if (data.protocolVersion !== PROTOCOL_VERSION) {
      throw this.failure(
        `speaks version ${data.protocolVersion} of the Agent Client Protocol, not ${PROTOCOL_VERSION}`,
      );
    }
    if (!fitsJson([data.agentCapabilities, data.agentInfo], MAX_AGENT_TRAITS_BYTES)) {
      throw this.failure(`reported more than ${MAX_AGENT_TRAITS_BYTES} bytes of name and capabilities`);
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
   * Ends an agent whose start has failed, and waits for the rest of its stderr, which often arrives after the answers.
   *
   * @returns the error to report. An agent that ended during its start gets `agent_failed`, not `agent_crashed`.
   */
  async startFailure(error: unknown, signal: AbortSignal): Promise<unknown> {
    const isCrash = !this.#stopping && error instanceof AgentVmError && error.code === "agent_crashed";
    if (!isCrash) await this.kill();
    const end = await this.process.ended;
    if (signal.aborted) return signal.reason;
    if (isCrash) return agentFailed(this.agentType, "did not start", end);
    const event = error instanceof AgentVmError ? this.#failures.get(error) : undefined;
    return event === undefined ? error : agentFailed(this.agentType, event, { stderr: end.stderr });
  }
}
