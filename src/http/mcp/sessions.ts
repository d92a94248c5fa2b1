import type { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { permits } from "../../api/rights.ts";
import { createClient, type VmAccessor } from "../../client/index.ts";
import type { Grant } from "../grant.ts";
import type { LentGrants } from "../lent-grants.ts";
import {
  MAX_MCP_REQUEST_BYTES,
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
  transport: StreamableHTTPServerTransport;
  /** The client that opened the session. No other client may use it. */
  client: string;
  token: string;
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
  readonly #lent: LentGrants;
  readonly #sessions = new Map<string, McpSession & { server: Closable }>();
  #sweeper: NodeJS.Timeout | undefined;

  /** @param endpoint URL at which this server reaches itself */
  constructor(endpoint: string, lent: LentGrants) {
    this.#endpoint = endpoint;
    this.#lent = lent;
  }

  /** Finds the session of a client. Its calls have the rights of this request from now on. */
  find(id: string, grant: Grant): McpSession | undefined {
    const session = this.#sessions.get(id);
    if (session?.client !== clientOf(grant)) return undefined;
    this.#lent.renew(session.token, grant);
    return session;
  }

  /**
   * Makes a session for an `initialize` request, which gives it an id.
   *
   * @throws AgentVmError `not_supported` if the SDK is not installed
   */
  async make({ name, key }: SessionTarget, grant: Grant): Promise<McpSession> {
    const { loadStreamableHttp, mcpServer } = await import("../../adapters/mcp/index.ts");
    const { StreamableHTTPServerTransport } = await loadStreamableHttp();
    const token = this.#lent.lend(grant);
    const client = createClient({ endpoint: this.#endpoint, token });
    const vms = (client as unknown as Record<string, VmAccessor>)[name] as VmAccessor;
    const server = await mcpServer(key === undefined ? vms : vms.getOrCreate(key), {
      shows: (needs) => grant.unlimited === true || needs.every((each) => permits(grant.may, each)),
    });
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => crypto.randomUUID(),
      maxRequestBodySize: MAX_MCP_REQUEST_BYTES,
      onsessioninitialized: (id) => this.#opened(id, { ...session, server }),
    });
    const session: McpSession = { transport, client: clientOf(grant), token, active: 0, usedAt: Date.now() };
    await server.connect(transport);
    server.onclose = () => {
      this.#lent.giveBack(token);
      if (transport.sessionId !== undefined) this.#sessions.delete(transport.sessionId);
      void client.dispose();
    };
    return session;
  }

  /** Ends every session. */
  async close(): Promise<void> {
    clearInterval(this.#sweeper);
    await Promise.all([...this.#sessions.values()].map(({ server }) => server.close()));
  }

  #opened(id: string, opened: McpSession & { server: Closable }): void {
    this.#sessions.set(id, opened);
    const own = [...this.#sessions.values()].filter(({ client }) => client === opened.client);
    if (own.length > MAX_MCP_SESSIONS_PER_CLIENT) this.#endOldest(own, opened);
    if (this.#sessions.size > MAX_MCP_SESSIONS) this.#endOldest([...this.#sessions.values()], opened);
    this.#sweeper ??= setInterval(() => this.#sweep(), MCP_IDLE_MS / 10).unref();
  }

  #endOldest(sessions: (McpSession & { server: Closable })[], newest: object): void {
    const order = (each: McpSession) => (each.active > 0 ? Number.POSITIVE_INFINITY : each.usedAt);
    const [oldest] = sessions
      .filter((each) => each.token !== (newest as McpSession).token)
      .sort((a, b) => order(a) - order(b));
    void oldest?.server.close();
  }

  #sweep(): void {
    for (const { active, usedAt, server } of this.#sessions.values()) {
      if (active === 0 && Date.now() - usedAt > MCP_IDLE_MS) void server.close();
    }
    if (this.#sessions.size > 0) return;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }
}

/** Names the client behind a grant: a token, an identity of `authorize`, or the administrator. */
function clientOf({ unlimited, tokenId, identity }: Grant): string {
  return JSON.stringify([unlimited ?? false, tokenId, identity]);
}
