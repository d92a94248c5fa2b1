import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { AgentVmError, actorTypeNotFound } from "../../api/errors.ts";
import { assertNotDraining } from "../../monitoring/draining.ts";
import { presentedTokens } from "../access.ts";
import { OwnAnswer, type Route } from "../http-gate.ts";
import type { Sender } from "../lent-grants.ts";
import { MAX_MCP_OPEN_REQUESTS } from "../limits.ts";
import { readMessage } from "./message.ts";
import { type McpSession, type McpSessions, type SessionTarget, tooManyRequests } from "./sessions.ts";

/**
 * Makes the answers of `/mcp`: streamable HTTP of the Model Context Protocol, for all VMs that the client reaches or, at
 * `/mcp?vm=KEY`, for one. A key with several parts has one `vm` for each. `name` chooses among several actors.
 *
 * @param names the actor names of VMs
 */
export function mcpRoutes(sessions: McpSessions, names: readonly string[]): Record<string, Route> {
  const route: Route = async (request, grant) => {
    const id = request.headers["mcp-session-id"]?.toString();
    const sender = senderOf(request);
    if (id !== undefined) {
      const session = sessions.find(id, grant, sender);
      // A client answers 404 with a new session.
      if (session === undefined)
        throw new AgentVmError("mcp_session_not_found", "The MCP session is unknown or has ended");
      return new OwnAnswer((response) => handle(session, request, response));
    }
    assertNotDraining();
    const target = targetOf(request, names);
    const close = sessions.open(grant);
    try {
      const session = await sessions.make(target, grant, sender);
      return new OwnAnswer((response) => handle(session, request, response).finally(close));
    } catch (error) {
      close();
      throw error;
    }
  };
  return { "POST /mcp": route, "GET /mcp": route, "DELETE /mcp": route };
}

function senderOf(request: IncomingMessage): Sender {
  const header = (name: string) => request.headers[name.toLowerCase()]?.toString();
  const [token] = presentedTokens({ header, path: request.url ?? "", external: true });
  return { headers: { get: (name) => header(name) ?? null }, token };
}

/** @throws AgentVmError `actor_type_not_found` */
function targetOf({ url = "" }: IncomingMessage, names: readonly string[]): SessionTarget {
  const { searchParams } = new URL(url, "http://server");
  const name = searchParams.get("name") ?? names[0] ?? "";
  if (!names.includes(name)) throw actorTypeNotFound(name, names);
  const key = searchParams.getAll("vm");
  return { name, key: key.length === 0 ? undefined : key };
}

async function handle(
  session: McpSession,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (session.active >= MAX_MCP_OPEN_REQUESTS) throw tooManyRequests();
  response.setHeader("access-control-expose-headers", "mcp-session-id");
  session.active += 1;
  session.usedAt = Date.now();
  // An error of the response, which also ends the wait, is not awaited on every path.
  const closed = once(response, "close").catch(() => undefined);
  try {
    const message = request.method === "POST" ? await readMessage(request) : undefined;
    await session.transport.handleRequest(request, response, message);
    if (!response.writableFinished && !response.destroyed) await closed;
  } finally {
    session.active -= 1;
    session.usedAt = Date.now();
    // A request that did not begin a session leaves nothing behind.
    if (session.transport.sessionId === undefined) await session.transport.close();
  }
}
