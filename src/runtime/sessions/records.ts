import { z } from "zod";
import type { CreateSessionOptions } from "../../api/types.ts";
import { listAll, rangeOf, type Store, type StoreEntry } from "../store.ts";
import { RECORDS, recordKey, recordPrefix } from "./keys.ts";
import { settingsSchema } from "./settings.ts";

/** A record is cut into parts of this size: some agents offer thousands of models. */
const PART_BYTES = 100 * 1024;

/** Above this a record is stored without the agent's settings: characters of at most three bytes fit into one batch. */
const MAX_RECORD_CHARS = 250_000;

const recordSchema = z.object({
  sessionId: z.string(),
  agentType: z.string(),
  createdAt: z.number(),
  closed: z.boolean(),
  /** As createSession was given them. */
  options: z.custom<CreateSessionOptions>((value) => typeof value === "object" && value !== null),
  capabilities: z.record(z.string(), z.unknown()),
  agentInfo: z.record(z.string(), z.unknown()).nullable(),
  /** The session's id with the agent, which the agent may know no more. */
  agentSessionId: z.string(),
  /** Whether a prompt was ever sent: there is something that a new agent has to be told. */
  prompted: z.boolean(),
  settings: settingsSchema,
});

/** What is known of a session when nothing of it runs. */
export type SessionData = z.infer<typeof recordSchema>;

/** Records of a VM's sessions. */
export class SessionRecords {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** All of them, the oldest first. */
  async load(): Promise<SessionData[]> {
    const texts = new Map<string, Uint8Array[]>();
    for await (const [key, value] of listAll(this.#store, RECORDS)) {
      const id = key.slice(RECORDS.length, key.lastIndexOf("/"));
      texts.set(id, [...(texts.get(id) ?? []), value]);
    }
    const records: SessionData[] = [];
    for (const values of texts.values()) {
      // The first part tells how many count: a shorter record leaves parts of a longer one behind.
      const [count, ...rest] = Buffer.concat(values).toString("utf8").split("\n");
      records.push(recordSchema.parse(JSON.parse(rest.join("\n").slice(0, Number(count)))));
    }
    return records.sort((one, other) => one.createdAt - other.createdAt);
  }

  /** Stores a record whole or not at all. */
  async save(record: SessionData): Promise<void> {
    const whole = JSON.stringify(record);
    // An agent that is started again tells its settings anew.
    const text = whole.length <= MAX_RECORD_CHARS ? whole : JSON.stringify({ ...record, settings: {} });
    const bytes = Buffer.from(`${text.length}\n${text}`, "utf8");
    const entries: StoreEntry[] = [];
    for (let from = 0; from < bytes.byteLength; from += PART_BYTES) {
      entries.push([recordKey(record.sessionId, entries.length), bytes.subarray(from, from + PART_BYTES)]);
    }
    await this.#store.put(entries);
  }

  async delete(sessionId: string): Promise<void> {
    const { from, to } = rangeOf(recordPrefix(sessionId));
    await this.#store.deleteRange(from, to);
  }
}
