import type { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { type AgentVmError, limitExceeded } from "../../api/errors.ts";
import { permits } from "../../api/rights.ts";
import { createClient, type VmAccessor, type VmHandle } from "../../client/index.ts";
import type { AccessControl } from "../access-control.ts";
import { clientOf, type Grant } from "../grant.ts";
import type { Sender } from "../lent-grants.ts";
import {
  MAX_MCP_OPEN_REQUESTS,
  MAX_MCP_SESSIONS,
  MAX_MCP_SESSIONS_PER_CLIENT,
  MCP_IDLE_MS,
} from "../limits.ts";

/** The VM that a session is about: an actor's name, and a key unless the session is about all VMs. */
export interface SessionTarget {
  name: string;
  key: string[] | undefined;
}

/** A client's session with the MCP server. */
export interface McpSession {
  readonly server: Closable;
  readonly transport: StreamableHTTPServerTransport;
  /** The client that opened the session. No other client may use it. */
  readonly client: string;
  /** Rights of the latest request. */
  grant: Grant;
  readonly token: string;
  /** Requests that run. */
  active: number;
  usedAt: number;
}

interface Closable {
  close(): Promise<void>;
}

/** The sessions of MCP clients. Each acts on VMs as a client of this server, with the rights of the request that opened it. */
export class McpSessions {
  readonly #endpoint: string;
  readonly #access: Pick<AccessControl, "lent" | "hasEnded" | "tokens">;
  readonly #sessions = new Map<string, McpSession>();
  /** Numbers of the requests without a session, by client. */
  readonly #opening = new Map<string, number>();
  #sweeper: NodeJS.Timeout | undefined;

  /** @param endpoint URL at which this server reaches itself */
  constructor(endpoint: string, access: Pick<AccessControl, "lent" | "hasEnded" | "tokens">) {
    this.#endpoint = endpoint;
    this.#access = access;
  }

  /** Finds the session of a client. Its calls have the rights of this request from now on. */
  find(id: string, grant: Grant, sender: Sender): McpSession | undefined {
    const session = this.#sessions.get(id);
    if (session?.client !== clientOf(grant)) return undefined;
    session.grant = grant;
    this.#access.lent.renew(session.token, grant, sender);
    return session;
  }

  /**
   * Counts a request of a client that may open a session.
   *
   * @returns a function to call at its end
   * @throws AgentVmError `limit_exceeded`
   */
  open(grant: Grant): () => void {
    const client = clientOf(grant);
    const open = this.#opening.get(client) ?? 0;
    if (open >= MAX_MCP_OPEN_REQUESTS) throw tooManyRequests();
    this.#opening.set(client, open + 1);
    return () => {
      const left = (this.#opening.get(client) ?? 1) - 1;
      if (left > 0) this.#opening.set(client, left);
      else this.#opening.delete(client);
    };
  }

  /**
   * Makes a session for an `initialize` request, which gives it an id.
   *
   * @throws AgentVmError `not_supported` if the SDK is not installed
   */
  async make(target: SessionTarget, grant: Grant, sender: Sender): Promise<McpSession> {
    const { loadStreamableHttp, mcpServer } = await import("../../adapters/mcp/index.ts");
    const { StreamableHTTPServerTransport } = await loadStreamableHttp();
    const token = this.#access.lent.lend(grant, sender);
    const client = createClient({ endpoint: this.#endpoint, token });
    const end = () => {
      this.#access.lent.giveBack(token);
      void client.dispose();
    };
    try {
      const server = await mcpServer(targetIn(client, target), {
        shows: (needs) => grant.unlimited === true || needs.every((each) => permits(grant.may, each)),
      });
      const transport = new StreamableHTTPServerTransport({
        sessionIdGenerator: () => crypto.randomUUID(),
        onsessioninitialized: (id) => this.#opened(id, session),
      });
      const owner = { client: clientOf(grant), grant, token };
      const session: McpSession = { server, transport, ...owner, active: 0, usedAt: Date.now() };
      server.onclose = () => {
        if (transport.sessionId !== undefined) this.#sessions.delete(transport.sessionId);
        end();
      };
      await server.connect(transport);
      return session;
    } catch (error) {
      end();
      throw error;
    }
  }

  /** Ends every session. */
  async close(): Promise<void> {
    clearInterval(this.#sweeper);
    await Promise.all([...this.#sessions.values()].map(({ server }) => server.close()));
  }

  #opened(id: string, opened: McpSession): void {
    this.#sessions.set(id, opened);
    const own = [...this.#sessions.values()].filter(({ client }) => client === opened.client);
    if (own.length > MAX_MCP_SESSIONS_PER_CLIENT) this.#endOldest(own, opened);
    if (this.#sessions.size > MAX_MCP_SESSIONS) this.#endOldest([...this.#sessions.values()], opened);
    this.#sweeper ??= setInterval(() => this.#sweep(), MCP_IDLE_MS / 10).unref();
  }

  /** Ends an idle session before a session with requests, then one of the same client before another's, then the oldest. */
  #endOldest(sessions: McpSession[], newest: McpSession): void {
    const order = ({ active, client, usedAt }: McpSession) =>
      [Number(active > 0), Number(client !== newest.client), usedAt] as const;
    const [oldest] = sessions
      .filter((each) => each !== newest)
      .map((session) => ({ session, order: order(session) }))
      .sort((a, b) => a.order.map((value, at) => value - (b.order[at] ?? 0)).find((sign) => sign !== 0) ?? 0);
    void oldest?.session.server.close();
  }

  #sweep(): void {
    for (const session of this.#sessions.values()) void this.#endIfOver(session);
    if (this.#sessions.size > 0) return;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }

  async #endIfOver({ active, usedAt, grant, server }: McpSession): Promise<void> {
    const isIdle = active === 0 && Date.now() - usedAt > MCP_IDLE_MS;
    // A server that cannot ask goes by what it knows.
    if (grant.tokenId !== undefined) await this.#access.tokens?.fresh().catch(() => undefined);
    if (isIdle || this.#access.hasEnded(grant)) await server.close();
  }
}

function targetIn(client: object, { name, key }: SessionTarget): VmAccessor | VmHandle {
  const vms = (client as Record<string, VmAccessor>)[name] as VmAccessor;
  return key === undefined ? vms : vms.getOrCreate(key);
}

export function tooManyRequests(): AgentVmError {
  return limitExceeded({ MAX_MCP_OPEN_REQUESTS }, "Limit of open requests reached", "Wait until one ends.");
}
