import { limitExceeded, sessionNotFound, vmStopped } from "../../api/errors.ts";
import type { CreateSessionOptions } from "../../api/methods/session-types.ts";
import { BytePool, ByteShare } from "../../base/byte-share.ts";
import { Known } from "../../base/known.ts";
import { loadOnce } from "../../base/load-once.ts";
import { Mutex } from "../../base/mutex.ts";
import { requireCapability } from "../sandbox/sandbox.ts";
import type { SessionDeps, SessionsDeps } from "./deps.ts";
import {
  MAX_CLOSED_SESSIONS,
  MAX_SERVER_SESSIONS_BYTES,
  MAX_SESSIONS,
  MAX_SESSIONS_BYTES,
  SMALL_SESSIONS_BYTES,
} from "./limits.ts";
import { Session } from "./session.ts";
import { SessionRecords } from "./transcript/records.ts";

const pool = new BytePool(MAX_SERVER_SESSIONS_BYTES);

/** The sessions of one VM, open and closed. The first call reads the stored sessions. */
export class SessionTable {
  readonly #deps: SessionDeps;
  /** Sessions in the order of their creation. */
  readonly #table = new Map<string, Session>();
  /** Sessions that `create` has not returned yet. No other call can name them. */
  readonly #creating = new Set<Session>();
  /** Ids of sessions that were destroyed since the VM's actor woke. */
  readonly #destroyed = new Known<true>(MAX_CLOSED_SESSIONS);
  readonly #load = loadOnce(() => this.#loadRecords());
  readonly #dropping = new Mutex();
  /** Sessions that start their agent now and count towards MAX_SESSIONS. */
  #opening = 0;
  #stopped = false;

  constructor(deps: SessionsDeps) {
    const memory = new ByteShare({ most: MAX_SESSIONS_BYTES, small: SMALL_SESSIONS_BYTES, pool });
    this.#deps = { ...deps, records: new SessionRecords(deps.store, deps.onFailure), memory };
  }

  /** @param signal ends the agent if it is still starting */
  async create(
    agentType: string,
    options: CreateSessionOptions = {},
    signal?: AbortSignal,
  ): Promise<Session> {
    await this.#ready("createSession");
    signal?.throwIfAborted();
    const session = new Session({ sessionId: crypto.randomUUID(), agentType, options }, this.#deps);
    const abortStart = () => void session.destroy().catch(() => undefined);
    await this.#withinLimit(async () => {
      this.#creating.add(session);
      signal?.addEventListener("abort", abortStart);
      try {
        await session.open();
        this.#table.set(session.id, session);
      } catch (error) {
        // The caller needs the error of the start, not the error of the cleanup.
        await session.destroy().catch(() => undefined);
        throw error;
      } finally {
        signal?.removeEventListener("abort", abortStart);
        this.#creating.delete(session);
      }
    });
    return session;
  }

  async countOpen(): Promise<number> {
    await this.#load();
    return [...this.#table.values()].filter((session) => !session.isClosed).length;
  }

  /** Number of sessions whose agent answers a prompt. None does before the records are loaded. */
  countPrompting(): number {
    return [...this.#table.values()].filter((session) => session.prompts.count > 0).length;
  }

  has(sessionId: string): boolean {
    return this.#all.some(({ id }) => id === sessionId);
  }

  /** @throws AgentVmError `session_not_found` */
  async find(action: string, sessionId: string): Promise<Session> {
    await this.#ready(action);
    const session = this.#table.get(sessionId);
    if (!session) throw sessionNotFound(sessionId);
    return session;
  }

  async resume(session: Session): Promise<void> {
    if (session.isClosed) await this.#withinLimit(() => session.open());
    else await session.open();
  }

  /** Closes a session, and deletes the sessions above MAX_CLOSED_SESSIONS that were closed first. */
  async close(session: Session): Promise<void> {
    await session.close();
    await this.#dropping.run(() => this.#dropClosed(session));
  }

  async destroy(session: Session): Promise<void> {
    await session.destroy();
    this.#table.delete(session.id);
    this.#destroyed.set(session.id, true);
  }

  isDestroyed(sessionId: string): boolean {
    return this.#destroyed.get(sessionId) !== undefined;
  }

  async list(action: string): Promise<Session[]> {
    await this.#ready(action);
    return [...this.#table.values()];
  }

  /** Prepares for the end of the sandbox. Running agents end with it, and the next prompt restarts them. */
  suspend(): void {
    for (const session of this.#all) session.suspend();
  }

  /** Refuses further calls. Agents end with the sandbox. */
  stop(): void {
    this.#stopped = true;
    this.suspend();
  }

  /** Resolves when all records and events are stored, or could not be. */
  async settled(): Promise<void> {
    await Promise.all(this.#all.map((session) => session.settled()));
  }

  get #all(): Session[] {
    return [...this.#table.values(), ...this.#creating];
  }

  /** @param closing session that stays */
  async #dropClosed(closing: Session): Promise<void> {
    const closed = [...this.#table.values()].filter(({ isClosed }) => isClosed);
    const oldest = closed.filter((session) => session !== closing).sort((a, b) => a.closedAt - b.closedAt);
    for (const session of oldest.slice(0, Math.max(0, closed.length - MAX_CLOSED_SESSIONS))) {
      // Another call may have deleted the session or opened it again meanwhile.
      if (this.#table.get(session.id) === session && session.isClosed) await this.destroy(session);
    }
  }

  /** Opens a session, unless MAX_SESSIONS are open or opening. */
  async #withinLimit(open: () => Promise<unknown>): Promise<void> {
    const isOpen = [...this.#table.values()].filter((session) => !session.isClosed).length;
    if (isOpen + this.#opening >= MAX_SESSIONS) {
      throw limitExceeded({ MAX_SESSIONS }, "Session limit reached", "Close a session first.");
    }
    this.#opening++;
    try {
      await open();
    } finally {
      this.#opening--;
    }
  }

  async #ready(action: string): Promise<void> {
    requireCapability(this.#deps.runtime, "processes", action);
    if (this.#stopped) throw vmStopped();
    await this.#load();
  }

  async #loadRecords(): Promise<void> {
    for (const stored of await this.#deps.records.load()) {
      this.#table.set(stored.data.sessionId, new Session(stored, this.#deps));
    }
  }
}
