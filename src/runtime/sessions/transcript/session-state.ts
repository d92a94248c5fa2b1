import { GroupWriter } from "../../../base/group-writer.ts";
import type { SessionData, SessionRecords } from "./records.ts";
import { type Settings, settingsAfter } from "./settings.ts";

/** Fields of a session that createSession sets. */
export type NewSession = Pick<SessionData, "sessionId" | "agentType" | "options">;

/** Fields of a session that no agent has opened yet. */
const UNOPENED = {
  closed: false,
  capabilities: {},
  agentInfo: null,
  agentSessionId: "",
  prompted: false,
  settings: {},
} satisfies Partial<SessionData>;

/** Data of a session, in memory and in the store. */
export class SessionState {
  readonly #records: SessionRecords;
  #data: SessionData;
  /** Saves the state as it is when the write begins. */
  readonly #writer = new GroupWriter<void>({ write: () => this.#save() });
  #deleted = false;
  #settingsSaved: Promise<void> = Promise.resolve();
  /** Number of changes to the settings. */
  settingsVersion = 0;

  constructor(data: SessionData | NewSession, records: SessionRecords) {
    this.#data = "settings" in data ? data : { ...UNOPENED, ...data, createdAt: Date.now() };
    this.#records = records;
  }

  get data(): Readonly<SessionData> {
    return this.#data;
  }

  /** Resolves when the change is stored. A session that no agent has opened is not stored: no client knows its id. */
  change(change: Partial<SessionData>): Promise<void> {
    this.#data = { ...this.#data, ...change };
    return this.#writer.add();
  }

  /** Applies the settings in a session/update of the agent or of the server. */
  applyUpdate(update: unknown): void {
    const settings = settingsAfter(this.#data.settings, update);
    if (settings) this.setSettings(settings);
  }

  setSettings(settings: Settings): void {
    this.settingsVersion++;
    this.#settingsSaved = this.change({ settings });
    // A lost write of an agent's own report does no harm: a restarted agent reports its settings again.
    this.#settingsSaved.catch(() => undefined);
  }

  /** Resolves when every change is stored, or could not be. */
  saved(): Promise<void> {
    return this.#writer.idle();
  }

  /** Resolves when the last change to the settings is stored. @throws the store's error */
  settingsSaved(): Promise<void> {
    return this.#settingsSaved;
  }

  async delete(): Promise<void> {
    this.#deleted = true;
    await this.#writer.idle();
    await this.#records.delete(this.#data.sessionId);
  }

  /** A session that no agent has opened yet is not stored. */
  async #save(): Promise<void> {
    if (this.#data.agentSessionId !== "" && !this.#deleted) await this.#records.save(this.#data);
  }
}
