import { GroupWriter } from "../../../base/group-writer.ts";
import { lightened, type SessionData, type SessionRecords, type StoredSession } from "./records.ts";
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
  /** Whether what `lightened` leaves out is only in the store. */
  #isLight: boolean;
  /** The data that the store has, if it is large. */
  #largeInStore: SessionData | undefined;
  #settingsSaved: Promise<void> = Promise.resolve();
  /** Number of changes to the settings. */
  settingsVersion = 0;

  constructor(session: StoredSession | NewSession, records: SessionRecords) {
    const isStored = "data" in session;
    this.#data = isStored ? session.data : { ...UNOPENED, ...session, createdAt: Date.now() };
    this.#isLight = isStored && session.isLight;
    this.#records = records;
  }

  get data(): Readonly<SessionData> {
    return this.#data;
  }

  /** Returns the data with what is only in the store. */
  async whole(): Promise<Readonly<SessionData>> {
    if (!this.#isLight) return this.#data;
    const { options, settings, capabilities, agentInfo } = await this.#records.read(this.#data.sessionId);
    return this.#isLight ? { ...this.#data, options, settings, capabilities, agentInfo } : this.#data;
  }

  /** Takes what is only in the store back into memory, before the session opens. */
  async load(): Promise<void> {
    const whole = await this.whole();
    if (!this.#isLight) return;
    this.#isLight = false;
    this.#data = whole;
    this.#largeInStore = whole;
  }

  /**
   * Leaves what is large to the store: a VM may have a thousand closed sessions.
   *
   * @param mayRest whether nothing uses them, asked when all changes are stored
   */
  async rest(mayRest: () => boolean): Promise<void> {
    await this.#writer.idle();
    if (this.#largeInStore !== this.#data || !mayRest()) return;
    this.#largeInStore = undefined;
    this.#isLight = true;
    this.#data = lightened(this.#data);
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
    if (this.#data.agentSessionId === "" || this.#deleted) return;
    // A late change of a closed session keeps what is only in the store.
    const data = this.#isLight ? await this.whole() : this.#data;
    const isLarge = await this.#records.save(data);
    this.#largeInStore = isLarge ? data : undefined;
  }
}
