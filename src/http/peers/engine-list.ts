import { z } from "zod";
import { invalidArgument } from "../../api/errors.ts";
import type { VmListEntry, VmPage, VmQuery } from "../../api/vm-list.ts";
import { parseJson } from "../../base/json.ts";
import { keyParts, type ListedActor, listActors } from "../../client/rivet/http.ts";
import { keyText, prefixText } from "../../directory/key-text.ts";
import type { EngineActors } from "./engine-actors.ts";
import { MAX_SCANNED_VMS } from "./limits.ts";
import type { LiveFacts } from "./messages.ts";
import type { Places } from "./places.ts";
import { StoredFacts } from "./stored-facts.ts";

/** Actors that the engine lists at once. */
const STEP = 100;

/** Place in the engine's list: its cursor, and the number of actors after it that earlier pages had. */
const cursorSchema = z.tuple([z.string().max(100).nullable(), z.int().min(0).max(STEP)]);

/** Lists the VMs of all servers: the engine's actors, facts that awake VMs tell, and facts that sleeping ones have stored. No VM is woken. */
export class EngineList {
  readonly #actors: EngineActors;
  readonly #places: Places;
  readonly #stored: StoredFacts;

  constructor(actors: EngineActors, places: Places) {
    this.#actors = actors;
    this.#stored = new StoredFacts(actors);
    this.#places = places;
  }

  /**
   * Lists VMs, the newest first.
   *
   * @param covers says of a key's text whether the client reaches the VM
   * @throws AgentVmError `invalid_argument`
   */
  async list(name: string, query: VmQuery, covers: (keyText: string) => boolean): Promise<VmPage> {
    let [after, skipped] = cursorOf(query.cursor);
    const start = query.prefix === undefined ? "" : prefixText([query.prefix].flat());
    const vms: VmListEntry[] = [];
    for (let scanned = 0; scanned < MAX_SCANNED_VMS; scanned += STEP) {
      const { actors, cursor } = await this.#actors.ask((engine) =>
        listActors(engine, { name, limit: String(STEP), ...(after !== null && { cursor: after }) }),
      );
      const fresh = actors.slice(skipped);
      const entries = await Promise.all(
        fresh.map(async (actor) => {
          const text = keyText(keyParts(actor.key));
          if (actor.destroy_ts || !text.startsWith(start) || !covers(text)) return undefined;
          return await this.#entryOf(actor, query);
        }),
      );
      for (const [index, entry] of entries.entries()) {
        if (entry === undefined) continue;
        vms.push(entry);
        if (vms.length < query.limit) continue;
        return { vms, cursor: JSON.stringify([after, skipped + index + 1]) };
      }
      // The engine names a cursor after the last actor too.
      if (cursor === null || actors.length < STEP) return { vms, cursor: null };
      [after, skipped] = [cursor, 0];
    }
    return { vms, cursor: JSON.stringify([after, skipped]) };
  }

  /** @returns `undefined` for a VM that does not fit the query */
  async #entryOf(actor: ListedActor, query: VmQuery): Promise<VmListEntry | undefined> {
    const { actor_id: actorId, key, create_ts: createdAt = 0, connectable_ts, sleep_ts } = actor;
    const isAwake = typeof connectable_ts === "number" && typeof sleep_ts !== "number";
    if (!isAwake && query.state !== undefined && query.state !== "sleeping") return undefined;
    const live = isAwake ? await this.#places.factsOf(actorId) : undefined;
    const facts = live ?? (await this.#asleep(actorId, sleep_ts ?? createdAt));
    const { use, storedBytes, ...known } = facts;
    if (!fits(known, query)) return undefined;
    return {
      ...{ key: keyParts(key), actorId, createdAt },
      ...known,
      storedBytes: storedBytes ?? (await this.#stored.bytesOf(actorId)),
      ...(query.use && use && { use }),
    };
  }

  async #asleep(actorId: string, lastUsedAt: number): Promise<LiveFacts> {
    const labels = await this.#stored.labelsOf(actorId);
    return { state: "sleeping", processes: 0, labels, lastUsedAt };
  }
}

function fits({ labels, state }: Pick<VmListEntry, "labels" | "state">, query: VmQuery): boolean {
  if (query.state !== undefined && query.state !== state) return false;
  return Object.entries(query.labels ?? {}).every(([label, value]) => labels[label] === value);
}

function cursorOf(text: string | undefined): z.output<typeof cursorSchema> {
  if (text === undefined) return [null, 0];
  const { data } = cursorSchema.safeParse(parseJson(text));
  if (data === undefined) throw invalidArgument("cursor", "the cursor of a page", text);
  return data;
}
