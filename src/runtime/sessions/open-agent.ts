import { AGENT_METHODS } from "@agentclientprotocol/sdk";
import { z } from "zod";
import { AGENT_SESSION_TIMEOUT_MS } from "../../api/limits.ts";
import type { CreateSessionOptions, Env, JsonRpcResponse } from "../../api/types.ts";
import type { Files } from "../filesystem/files.ts";
import { commandEnv } from "../processes/environment.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { excerpt } from "./agent-process.ts";
import type { AgentFile } from "./agents/agent.ts";
import type { Agents } from "./agents/agents.ts";
import { AgentConnection } from "./connection.ts";
import { instructionsFor } from "./instructions.ts";
import { refuseIgnored, toMcpServers } from "./mcp.ts";
import type { RpcHandlers } from "./rpc.ts";
import { type Settings, settingsIn } from "./settings.ts";

/** Where agents work unless told otherwise. */
export const SESSION_CWD = "/workspace";

export interface OpenAgentSettings {
  sandbox: Sandbox;
  files: Files;
  agents: Agents;
  /** Variables of every command of the VM. */
  env: Env;
}

export interface OpenAgentRequest {
  agentType: string;
  options: CreateSessionOptions;
  /** The session to go on with, where there is one. */
  agentSessionId: string | undefined;
  handlers: RpcHandlers;
  /** Called when the agent begins and ends to tell what it has told before. */
  replaying(isReplaying: boolean): void;
  signal: AbortSignal;
}

/** An agent with an open session. */
export interface OpenAgent {
  connection: AgentConnection;
  agentSessionId: string;
  settings: Settings;
  /** It does not know what was said before. */
  isFresh: boolean;
  /** What it has to be told before its first prompt. */
  instructions: string | undefined;
}

const sessionSchema = z.looseObject({ sessionId: z.string().min(1).max(4096) });

/**
 * Starts an agent and opens its session: the one it had, where it still knows it, or a new one.
 *
 * @throws AgentVmError `unknown_agent_type`, `agent_not_installed`, `agent_failed`; nothing of the agent is left then.
 */
export async function openAgent(request: OpenAgentRequest, settings: OpenAgentSettings): Promise<OpenAgent> {
  const { agentType, options, handlers, signal } = request;
  const { sandbox, files, agents } = settings;
  const instructions = await instructionsFor(files, options);
  const agent = agents.find(agentType);
  refuseIgnored(agent, options.mcpServers ?? []);
  const env = commandEnv(settings.env, options.env);
  const launch = agent.launch({ env, instructions });
  for (const file of launch.files) await place(sandbox, files, file);
  const { command, args } = launch;
  const connection = await AgentConnection.start(
    sandbox,
    agentType,
    { command, args, env: launch.env, cwd: options.cwd ?? SESSION_CWD },
    handlers,
  );
  const kill = () => void connection.kill();
  signal.addEventListener("abort", kill);
  try {
    signal.throwIfAborted();
    await connection.initialize({
      authMethod: agent.authMethod?.(env),
      clientFiles: agent.clientFiles ?? true,
    });
    signal.throwIfAborted();
    const meta = instructions === undefined ? undefined : agent.sessionMeta?.(instructions);
    const opened = await openSession(connection, request, meta);
    return {
      connection,
      ...opened,
      instructions: agent.instructions === "native" ? undefined : instructions,
    };
  } catch (error) {
    throw await connection.startFailure(error, signal);
  } finally {
    signal.removeEventListener("abort", kill);
  }
}

/** Puts a file where nothing is. */
async function place(
  sandbox: Sandbox,
  files: Files,
  { path, content, executable }: AgentFile,
): Promise<void> {
  if (await files.exists(path)) return;
  await files.writeFile(path, content);
  if (executable) await sandbox.files.chmod(path, 0o755);
}

type Opened = Pick<OpenAgent, "agentSessionId" | "settings" | "isFresh">;

async function openSession(
  connection: AgentConnection,
  { agentType, options, agentSessionId, replaying }: OpenAgentRequest,
  meta: Record<string, unknown> | undefined,
): Promise<Opened> {
  const capabilities = connection.traits.agentCapabilities ?? {};
  const params = {
    cwd: options.cwd ?? SESSION_CWD,
    mcpServers: toMcpServers(agentType, options.mcpServers ?? [], capabilities),
    ...(meta && { _meta: meta }),
  };
  const method = capabilities.sessionCapabilities?.resume
    ? AGENT_METHODS.session_resume
    : capabilities.loadSession
      ? AGENT_METHODS.session_load
      : undefined;
  if (agentSessionId !== undefined && method !== undefined) {
    replaying(true);
    try {
      const old = { sessionId: agentSessionId, ...params };
      const { result, error } = await connection.requestWithin(AGENT_SESSION_TIMEOUT_MS, method, old);
      // Agents word it each in its own way that they do not know a session any more.
      if (!error) return { agentSessionId, settings: settingsIn(result), isFresh: false };
    } finally {
      replaying(false);
    }
  }
  const response = await connection.requestWithin(
    AGENT_SESSION_TIMEOUT_MS,
    AGENT_METHODS.session_new,
    params,
  );
  return { ...created(connection, response), isFresh: true };
}

function created(connection: AgentConnection, { result, error }: JsonRpcResponse): Omit<Opened, "isFresh"> {
  if (error) throw connection.failure(`refused a session: ${excerpt(error.message)}`);
  const session = sessionSchema.safeParse(result);
  if (!session.success) throw connection.failure("answered session/new without a session");
  return { agentSessionId: session.data.sessionId, settings: settingsIn(result) };
}
