import { AGENT_METHODS } from "@agentclientprotocol/sdk";
import { z } from "zod";
import type { CreateSessionOptions, JsonRpcResponse } from "../../../api/methods/session-types.ts";
import type { Env } from "../../../api/values.ts";
import type { ByteShare } from "../../../base/byte-share.ts";
import type { Files } from "../../filesystem/files.ts";
import { commandEnv } from "../../processes/command.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import type { AgentFile } from "../agents/agent.ts";
import type { Agents } from "../agents/registry.ts";
import { AGENT_SESSION_TIMEOUT_MS } from "../limits.ts";
import { type Settings, settingsIn } from "../transcript/settings.ts";
import { AgentConnection } from "./agent-connection.ts";
import { excerpt } from "./agent-process.ts";
import { instructionsFor } from "./instructions.ts";
import { refuseIgnored, toMcpServers } from "./mcp.ts";
import type { RpcHandlers } from "./rpc.ts";

/** Default working directory of agents. */
export const SESSION_CWD = "/workspace";

interface OpenAgentDeps {
  sandbox: Sandbox;
  files: Files;
  /** Memory that all sessions of the VM share. */
  memory: ByteShare;
  agents: Agents;
  /** Environment of every command of the VM. */
  env: Env;
  /** List of the host functions. */
  hostInstructions: string | undefined;
}

interface OpenAgentRequest {
  agentType: string;
  options: CreateSessionOptions;
  /** The agent's id of the session to continue; `undefined` opens a new session. */
  agentSessionId: string | undefined;
  handlers: RpcHandlers;
  /** Called when the agent's process has started, before it can write anything. */
  started(connection: AgentConnection): void;
  /** Called when the agent begins (`true`) and ends (`false`) to replay the conversation. */
  replaying(isReplaying: boolean): void;
  /** Called with the settings in the agent's answer, before any later message. */
  settings(settings: Settings): void;
  signal: AbortSignal;
}

/** An agent with an open session. */
export interface OpenAgent {
  connection: AgentConnection;
  agentSessionId: string;
  /** `true` if the agent does not know the conversation so far. */
  isFresh: boolean;
  /** Text to send before the first prompt. */
  instructions: string | undefined;
}

const sessionSchema = z.looseObject({ sessionId: z.string().min(1).max(4096) });

/**
 * Starts an agent and opens its former session, or a new session if the agent cannot.
 *
 * @throws AgentVmError `unknown_agent_type`, `agent_not_installed`, `agent_failed`; the agent has then ended
 */
export async function openAgent(request: OpenAgentRequest, deps: OpenAgentDeps): Promise<OpenAgent> {
  const { agentType, options, handlers, signal } = request;
  const { sandbox, files, agents } = deps;
  const instructions = await instructionsFor(files, options, deps.hostInstructions);
  const agent = agents.find(agentType);
  refuseIgnored(agent, options.mcpServers ?? []);
  const env = commandEnv(deps.env, options.env);
  const launch = agent.launch({ env, instructions });
  for (const file of launch.files) await writeMissing(sandbox, files, file);
  const { command, args } = launch;
  const connection = await AgentConnection.start(
    deps,
    agentType,
    { command, args, env: launch.env, cwd: options.cwd ?? SESSION_CWD },
    handlers,
  );
  request.started(connection);
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

/** Writes a file unless its path exists. */
async function writeMissing(sandbox: Sandbox, files: Files, { path, content, executable }: AgentFile) {
  if (await files.exists(path)) return;
  await files.writeFile(path, content);
  if (executable) await sandbox.files.chmod(path, 0o755);
}

type Opened = Pick<OpenAgent, "agentSessionId" | "isFresh">;

async function openSession(
  connection: AgentConnection,
  { agentType, options, agentSessionId, replaying, settings }: OpenAgentRequest,
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
      const { error } = await connection.requestWithin(
        AGENT_SESSION_TIMEOUT_MS,
        method,
        old,
        ({ result, error }) => {
          replaying(false);
          if (!error) settings(settingsIn(result));
        },
      );
      // Any error opens a new session: agents have no common error for a forgotten session.
      if (!error) return { agentSessionId, isFresh: false };
    } finally {
      replaying(false);
    }
  }
  const response = await connection.requestWithin(
    AGENT_SESSION_TIMEOUT_MS,
    AGENT_METHODS.session_new,
    params,
    ({ result, error }) => {
      if (!error) settings(settingsIn(result));
    },
  );
  return { ...created(connection, response), isFresh: true };
}

function created(connection: AgentConnection, { result, error }: JsonRpcResponse): Omit<Opened, "isFresh"> {
  if (error) throw connection.failure(`refused a session: ${excerpt(error.message)}`);
  const session = sessionSchema.safeParse(result);
  if (!session.success) throw connection.failure("answered session/new without a session");
  return { agentSessionId: session.data.sessionId };
}
