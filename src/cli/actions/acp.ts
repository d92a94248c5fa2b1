import process from "node:process";
import { Readable, Writable } from "node:stream";
import {
  type AgentContext,
  agent,
  type ContentBlock,
  type NewSessionResponse,
  ndJsonStream,
  PROTOCOL_VERSION,
  RequestError,
  type RequestPermissionRequest,
  type StopReason,
} from "@agentclientprotocol/sdk";
import { AgentVmError, unknownAgent } from "../../api/errors.ts";
import type { PermissionRequestPayload } from "../../api/events.ts";
import type { SessionEvent } from "../../api/methods/session-event.ts";
import type { CreateSessionOptions } from "../../api/methods/session-types.ts";
import { packageVersion } from "../../base/package-version.ts";
import type { VmConnection } from "../../client/types.ts";
import type { Cli } from "../cli.ts";
import { UsageError } from "../exit-codes.ts";
import { onSignals } from "../terminal/interrupts.ts";
import { createOptions, eventsAfter, type SessionOptions } from "./sessions.ts";

/** Speaks ACP with an editor on stdin and stdout, and passes everything on to an agent in a VM. */
export async function acp(cli: Cli, key: string, options: SessionOptions): Promise<void> {
  if (cli.out.json) throw new UsageError("The editor speaks ACP on stdout, which is JSON already");
  const vm = await cli.vm(key);
  // A VM or an agent that does not exist is reported before an editor waits for it.
  const known = (await vm.listAgents()).map(({ id }) => id);
  if (!known.includes(options.agent)) throw unknownAgent(options.agent, known);
  const bridge = new Bridge(vm.connect(), options);
  const stream = ndJsonStream(
    Writable.toWeb(process.stdout) as WritableStream<Uint8Array>,
    Readable.toWeb(process.stdin) as ReadableStream<Uint8Array>,
  );
  const connection = appOf(bridge).connect(stream);
  bridge.attach(connection.client);
  const stop = onSignals(() => connection.close());
  await connection.closed;
  stop();
  await bridge.close();
}

/** The answers to an editor. */
function appOf(bridge: Bridge) {
  return agent({ name: "agent-vm" })
    .onRequest("initialize", () => ({
      protocolVersion: PROTOCOL_VERSION,
      agentInfo: { name: "agent-vm", title: `${bridge.agentType} in a VM`, version: packageVersion() },
      agentCapabilities: { loadSession: true, promptCapabilities: { embeddedContext: true } },
      authMethods: [],
    }))
    .onRequest("session/new", () => answered(bridge.open()))
    .onRequest("session/load", ({ params }) => answered(bridge.load(params.sessionId)))
    .onRequest("session/set_mode", ({ params }) => answered(bridge.setMode(params.sessionId, params.modeId)))
    .onRequest("session/prompt", ({ params }) => answered(bridge.prompt(params.sessionId, params.prompt)))
    .onNotification("session/cancel", ({ params }) => bridge.cancel(params.sessionId));
}

/** Passes the text of an error on to the editor, which shows it. */
async function answered<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof AgentVmError) throw new RequestError(-32603, error.message, { code: error.code });
    throw error;
  }
}

/** The sessions of one editor. Their ids are those of the VM. */
class Bridge {
  readonly agentType: string;
  readonly #connection: VmConnection;
  readonly #options: CreateSessionOptions;
  readonly #sessions = new Set<string>();
  readonly #prompting = new Set<string>();
  #client: AgentContext | undefined;
  /** Notifications in order. */
  #sent: Promise<unknown> = Promise.resolve();

  constructor(connection: VmConnection, options: SessionOptions) {
    this.agentType = options.agent;
    this.#connection = connection;
    this.#options = createOptions(options);
    connection.on("sessionEvent", ({ sessionId, event }) => {
      if (!this.#sessions.has(sessionId)) return;
      // The editor shows its own prompts itself.
      const isOwn =
        event.method === "session/update" && event.params.update.sessionUpdate === "user_message_chunk";
      if (!isOwn || !this.#prompting.has(sessionId)) this.#pass(event);
    });
    connection.on("permissionRequest", (request) => {
      if (this.#sessions.has(request.sessionId)) void this.#ask(request).catch(() => undefined);
    });
  }

  attach(client: AgentContext): void {
    this.#client = client;
  }

  async open(): Promise<NewSessionResponse> {
    const { sessionId } = await this.#connection.createSession(this.agentType, this.#options);
    this.#sessions.add(sessionId);
    return { sessionId, ...(await this.#modes(sessionId)) };
  }

  /** Opens a session of the VM again, and tells the editor its transcript. */
  async load(sessionId: string) {
    await this.#connection.resumeSession(sessionId);
    for await (const { notification } of eventsAfter(this.#connection, sessionId)) this.#pass(notification);
    this.#sessions.add(sessionId);
    await this.#sent;
    return await this.#modes(sessionId);
  }

  async setMode(sessionId: string, modeId: string) {
    const { error } = await this.#connection.setMode(sessionId, modeId);
    if (error !== undefined) throw new RequestError(error.code, error.message, error.data);
    return {};
  }

  async prompt(sessionId: string, blocks: readonly ContentBlock[]): Promise<{ stopReason: StopReason }> {
    this.#prompting.add(sessionId);
    try {
      const { response } = await this.#connection.prompt(sessionId, blocks.map(textOf).join("\n"));
      // All updates of a turn reach the editor before its end.
      await this.#sent;
      if (response.error !== undefined)
        throw new RequestError(response.error.code, response.error.message, response.error.data);
      return response.result as { stopReason: StopReason };
    } finally {
      this.#prompting.delete(sessionId);
    }
  }

  async cancel(sessionId: string): Promise<void> {
    if (this.#sessions.has(sessionId)) await this.#connection.cancelPrompt(sessionId).catch(() => undefined);
  }

  /** Ends the agents. Their transcripts stay for the next `session/load`. */
  async close(): Promise<void> {
    await Promise.all(
      [...this.#sessions].map((id) => this.#connection.closeSession(id).catch(() => undefined)),
    );
  }

  async #modes(sessionId: string) {
    const state = await this.#connection.getModes(sessionId);
    if (state === null) return {};
    const availableModes = state.availableModes.map(({ id, name, label, description }) => ({
      id,
      name: name ?? label ?? id,
      ...(description !== undefined && { description }),
    }));
    return { modes: { currentModeId: state.currentModeId, availableModes } };
  }

  #pass(event: SessionEvent): void {
    if (event.method !== "session/update") return;
    const { params } = event;
    this.#sent = this.#sent.then(() => this.#client?.notify("session/update", params)).catch(() => undefined);
  }

  async #ask({ sessionId, request }: PermissionRequestPayload): Promise<void> {
    const params = { ...(request.params as RequestPermissionRequest), sessionId };
    await this.#sent;
    const answer = await this.#client?.request("session/request_permission", params);
    const reply = answer?.outcome.outcome === "selected" ? answer.outcome.optionId : "reject";
    await this.#connection.respondPermission(sessionId, request.permissionId, reply);
  }
}

/** The prompts of a VM are text. */
function textOf(block: ContentBlock): string {
  switch (block.type) {
    case "text":
      return block.text;
    case "resource_link":
      return `[${block.name}](${block.uri})`;
    case "resource":
      return "text" in block.resource
        ? `<context uri=${JSON.stringify(block.resource.uri)}>\n${block.resource.text}\n</context>`
        : `[${block.resource.uri}]`;
    default:
      return `[${block.type}]`;
  }
}
