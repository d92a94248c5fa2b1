import { z } from "zod";
import { sessionNotFound } from "../../../api/errors.ts";
import type { CreateSessionOptions } from "../../../api/methods/session-types.ts";
import { fitsJson } from "../../../api/size.ts";
import { KIB } from "../../../api/units.ts";
import { parseJson } from "../../../base/json.ts";
import { recordKey, recordPrefix, SESSION_RECORDS } from "../../store/keys.ts";
import { cutValue, listAll, MAX_STORE_BATCH_BYTES, rangeOf, type Store } from "../../store/store.ts";
import { type Settings, settingsSchema } from "./settings.ts";

/** Bytes of one part of a record. Records need parts because some agents offer thousands of models. */
const PART_BYTES = 100 * 1024;

/** Bytes of a record, which fits into one batch with the keys of its parts. A larger one is stored without large settings. */
const MAX_RECORD_BYTES = MAX_STORE_BATCH_BYTES - 8 * KIB;

/** Length above which a closed session leaves its options and settings to the store. */
const MAX_LIGHT_CHARS = 8 * 1024;

/** Bytes of JSON above which such a session leaves the agent's name and capabilities to the store too. Agents report fewer. */
const MAX_LIGHT_TRAITS_BYTES = 2 * KIB;

const recordSchema = z.object({
  sessionId: z.string(),
  agentType: z.string(),
  createdAt: z.number(),
  closed: z.boolean(),
  /** Time of the last `closeSession`. Records of older versions lack it. */
  closedAt: z.number().optional(),
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

/** A session as it is kept in memory. */
export interface StoredSession {
  data: SessionData;
  /** Whether what `lightened` leaves out is only in the store. */
  isLight: boolean;
}

/** Data of a closed session without what is large and only needed when it opens again. */
export function lightened(data: SessionData): SessionData {
  const { cwd, permissionPolicy } = data.options;
  const options = { ...(cwd !== undefined && { cwd }), ...(permissionPolicy && { permissionPolicy }) };
  const isSmall = fitsJson([data.capabilities, data.agentInfo], MAX_LIGHT_TRAITS_BYTES);
  return { ...data, options, settings: {}, ...(!isSmall && { capabilities: {}, agentInfo: null }) };
}

function restOf(parts: readonly Uint8Array[]): StoredSession {
  const text = textIn(parts);
  const data = recordIn(text);
  const isLight = data.closed && text.length > MAX_LIGHT_CHARS;
  return { data: isLight ? lightened(data) : data, isLight };
}

/** The first part begins with the record's length: a shorter record leaves parts of the longer one before it. */
function textIn(parts: readonly Uint8Array[]): string {
  const [length, ...rest] = Buffer.concat(parts).toString("utf8").split("\n");
  return rest.join("\n").slice(0, Number(length));
}

const recordIn = (text: string): SessionData => recordSchema.parse(parseJson(text));

/** Returns a record as JSON that fits into one batch. The largest settings are left out: a restarted agent reports them again. */
function fitting(record: SessionData, whole: string): string {
  let excess = Buffer.byteLength(whole) - MAX_RECORD_BYTES;
  if (excess <= 0) return whole;
  const { modes, models, configOptions } = record.settings;
  const parts = [modes, models, ...(configOptions ?? [])].map((part) => ({
    part,
    bytes: Buffer.byteLength(JSON.stringify(part ?? null)),
  }));
  const left = new Set<unknown>(parts.map(({ part }) => part));
  for (const { part, bytes } of parts.sort((one, other) => other.bytes - one.bytes)) {
    if (excess <= 0) break;
    left.delete(part);
    excess -= bytes;
  }
  const settings: Settings = {
    modes: left.has(modes) ? modes : null,
    models: left.has(models) ? models : null,
    configOptions: configOptions?.filter((option) => left.has(option)),
  };
  return JSON.stringify({ ...record, settings });
}

/** Reads and writes the records of a VM's sessions. */
export class SessionRecords {
  readonly #store: Store;
  readonly #onDamaged: (error: unknown) => void;

  /** @param onDamaged receives the error of each record that cannot be read */
  constructor(store: Store, onDamaged: (error: unknown) => void) {
    this.#store = store;
    this.#onDamaged = onDamaged;
  }

  /** Returns all records that can be read, oldest first. Closed sessions with large records are light. */
  async load(): Promise<StoredSession[]> {
    const records: StoredSession[] = [];
    let [open, parts]: [string, Uint8Array[]] = ["", []];
    const end = () => {
      if (parts.length === 0) return;
      try {
        records.push(restOf(parts));
      } catch (error) {
        const { message } = error as Error;
        this.#onDamaged(new Error(`The record of session ${open} is damaged: ${message}`));
      }
      parts = [];
    };
    for await (const [key, value] of listAll(this.#store, SESSION_RECORDS)) {
      const id = key.slice(SESSION_RECORDS.length, key.lastIndexOf("/"));
      if (id !== open) end();
      open = id;
      parts.push(value);
    }
    end();
    return records.sort((one, other) => one.data.createdAt - other.data.createdAt);
  }

  /** @throws AgentVmError `session_not_found` */
  async read(sessionId: string): Promise<SessionData> {
    const parts: Uint8Array[] = [];
    for await (const [, value] of listAll(this.#store, recordPrefix(sessionId))) parts.push(value);
    if (parts.length === 0) throw sessionNotFound(sessionId);
    return recordIn(textIn(parts));
  }

  /**
   * Stores a record in one batch, so that a crash leaves the old record or the new one.
   *
   * @returns whether the record is large
   */
  async save(record: SessionData): Promise<boolean> {
    const whole = JSON.stringify(record);
    const text = fitting(record, whole);
    const bytes = Buffer.from(`${text.length}\n${text}`, "utf8");
    await this.#store.put(cutValue(bytes, PART_BYTES, (part) => recordKey(record.sessionId, part)));
    return whole.length > MAX_LIGHT_CHARS;
  }

  async delete(sessionId: string): Promise<void> {
    const { from, to } = rangeOf(recordPrefix(sessionId));
    await this.#store.deleteRange(from, to);
  }
}
