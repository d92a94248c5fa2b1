import type { SessionData, SessionRecords } from "./records.ts";
import { type Settings, settingsAfter } from "./settings.ts";

/** What createSession decides of a session. */
export type NewSession = Pick<SessionData, "sessionId" | "agentType" | "options">;

/** Of a session that no agent has opened yet. */
const NOTHING = {
  closed: false,
  capabilities: {},
  agentInfo: null,
  agentSessionId: "",
  prompted: false,
  settings: {},
} satisfies Partial<SessionData>;

/** What is known of a session, in memory and in the store. */
export class SessionState {
  readonly #records: SessionRecords;
  #data: SessionData;
  #saving: Promise<void> | undefined;
  #unsaved = false;
  #deleted = false;
  /** Counts changes of the settings. */
  settingsVersion = 0;

  constructor(data: SessionData | NewSession, records: SessionRecords) {
    this.#data = "settings" in data ? data : { ...NOTHING, ...data, createdAt: Date.now() };
    this.#records = records;
  }

  get data(): Readonly<SessionData> {
    return this.#data;
  }

  /** Resolves when the change is stored. A session that has never been opened is not: nobody knows of it yet. */
  change(change: Partial<SessionData>): Promise<void> {
    this.#data = { ...this.#data, ...change };
    this.#unsaved = true;
    this.#saving ??= this.#saveAll().finally(() => {
      this.#saving = undefined;
    });
    return this.#saving;
  }

  /** Takes over what an update, the agent's or ours, says about settings. */
  heed(update: unknown): void {
    const settings = settingsAfter(this.#data.settings, update);
    if (settings) this.settle(settings);
  }

  settle(settings: Settings): void {
    this.settingsVersion++;
    // An agent that comes back tells its settings anew: losing them is no harm.
    this.change({ settings }).catch(() => undefined);
  }

  async saved(): Promise<void> {
    await this.#saving;
  }

  async delete(): Promise<void> {
    this.#deleted = true;
    await this.#saving?.catch(() => undefined);
    await this.#records.delete(this.#data.sessionId);
  }

  /** What changes while something is being stored goes together. */
  async #saveAll(): Promise<void> {
    while (this.#unsaved) {
      this.#unsaved = false;
      if (this.#data.agentSessionId !== "" && !this.#deleted) await this.#records.save(this.#data);
    }
  }
}
