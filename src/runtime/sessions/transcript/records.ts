import { z } from "zod";
import type { CreateSessionOptions } from "../../../api/methods/session-types.ts";
import { parseJson } from "../../../base/json.ts";
import { recordKey, recordPrefix, SESSION_RECORDS } from "../../store/keys.ts";
import { cutValue, listAll, rangeOf, type Store } from "../../store/store.ts";
import { settingsSchema } from "./settings.ts";

/** Bytes of one part of a record. Records need parts because some agents offer thousands of models. */
const PART_BYTES = 100 * 1024;

/**
 * Length above which a record is stored without the agent's settings. A JavaScript character takes at most three bytes
 * of UTF-8, so a record up to this length fits into one batch.
 */
const MAX_RECORD_CHARS = 250_000;

const recordSchema = z.object({
  sessionId: z.string(),
  agentType: z.string(),
  createdAt: z.number(),
  closed: z.boolean(),
  /** Options of createSession, unchanged. */
  options: z.custom<CreateSessionOptions>((value) => typeof value === "object" && value !== null),
  capabilities: z.record(z.string(), z.unknown()),
  agentInfo: z.record(z.string(), z.unknown()).nullable(),
  /** The agent's id of the session. The agent may have forgotten it. */
  agentSessionId: z.string(),
  /** Whether a prompt was ever sent. If so, a new agent process needs the conversation so far. */
  prompted: z.boolean(),
  settings: settingsSchema,
});

/** Stored data of a session. */
export type SessionData = z.infer<typeof recordSchema>;

/** Reads and writes the records of a VM's sessions. */
export class SessionRecords {
  readonly #store: Store;
  readonly #onDamaged: (error: unknown) => void;

  /** @param onDamaged receives the error of each record that cannot be read */
  constructor(store: Store, onDamaged: (error: unknown) => void) {
    this.#store = store;
    this.#onDamaged = onDamaged;
  }

  /** Returns all records that can be read, oldest first. */
  async load(): Promise<SessionData[]> {
    const texts = new Map<string, Uint8Array[]>();
    for await (const [key, value] of listAll(this.#store, SESSION_RECORDS)) {
      const id = key.slice(SESSION_RECORDS.length, key.lastIndexOf("/"));
      texts.set(id, [...(texts.get(id) ?? []), value]);
    }
    const records: SessionData[] = [];
    for (const [id, values] of texts) {
      // The first part begins with the record's length: a shorter record leaves parts of the longer one before it.
      const [length, ...rest] = Buffer.concat(values).toString("utf8").split("\n");
      const read = recordSchema.safeParse(parseJson(rest.join("\n").slice(0, Number(length))));
      if (read.success) records.push(read.data);
      else this.#onDamaged(new Error(`The record of session ${id} is damaged: ${read.error.message}`));
    }
    return records.sort((one, other) => one.createdAt - other.createdAt);
  }

  /** Stores a record in one batch, so that a crash leaves the old record or the new one. */
  async save(record: SessionData): Promise<void> {
    const whole = JSON.stringify(record);
    // A restarted agent reports its settings again.
    const text = whole.length <= MAX_RECORD_CHARS ? whole : JSON.stringify({ ...record, settings: {} });
    const bytes = Buffer.from(`${text.length}\n${text}`, "utf8");
    await this.#store.put(cutValue(bytes, PART_BYTES, (part) => recordKey(record.sessionId, part)));
  }

  async delete(sessionId: string): Promise<void> {
    const { from, to } = rangeOf(recordPrefix(sessionId));
    await this.#store.deleteRange(from, to);
  }
}
