import { z } from "zod";
import { invalidArgument } from "../../api/errors.ts";
import type { VmListEntry, VmPage, VmQuery } from "../../api/vm-list.ts";
import { parseJson } from "../../base/json.ts";
import { keyParts, type ListedActor, listActors } from "../../client/rivet/http.ts";
import { keyText, prefixText } from "../../directory/key-text.ts";
import { type EngineActors, isGone } from "./engine-actors.ts";
import { MAX_SCANNED_VMS } from "./limits.ts";
import type { ListFacts } from "./list-facts.ts";
import type { LiveFacts } from "./messages.ts";
import { StoredFacts } from "./stored-facts.ts";

/** Actors that the engine lists at once. */
const STEP = 100;

/** Place in the list: time of creation and id of the last actor that the client has seen. */
const cursorSchema = z.tuple([z.int().min(0), z.string().max(100)]);
type Cursor = z.output<typeof cursorSchema>;

/** Servers that report how the VMs of one list are. */
interface Servers {
  forList(use: boolean): Pick<ListFacts, "of" | "isOver">;
}

/** Lists the VMs of all servers: the engine's actors, facts of awake VMs that their servers tell, and facts that sleeping ones have stored. No VM is woken, or kept awake. */
export class EngineList {
  readonly #actors: EngineActors;
  readonly #servers: Servers;
  readonly #stored: StoredFacts;

  constructor(actors: EngineActors, servers: Servers) {
    this.#actors = actors;
    this.#stored = new StoredFacts(actors);
    this.#servers = servers;
  }

  /**
   * Lists VMs, the newest first.
   *
   * @param covers says of a key's text whether the client reaches the VM
   * @throws AgentVmError `invalid_argument`
   */
  async list(name: string, query: VmQuery, covers: (keyText: string) => boolean): Promise<VmPage> {
    let last = cursorOf(query.cursor);
    const start = query.prefix === undefined ? "" : prefixText([query.prefix].flat());
    const vms: VmListEntry[] = [];
    const list = this.#servers.forList(query.use);
    for (let scanned = 0; scanned < MAX_SCANNED_VMS; scanned += STEP) {
      const actors = await this.#after(name, last);
      // The engine lists one actor less when one was destroyed meanwhile, so that only an empty answer is the end.
      if (actors.length === 0) return { vms, cursor: null };
      const wanted = actors.filter(({ destroy_ts: isGone, key }) => {
        const text = keyText(keyParts(key));
        return !isGone && text.startsWith(start) && covers(text);
      });
      const facts = await list.of(wanted.filter(isAwake).map(({ actor_id: actorId }) => actorId));
      // Awake VMs would seem to sleep. The next page has time of its own for them.
      if (list.isOver && scanned > 0) break;
      const entries = await Promise.all(
        wanted.map((actor) =>
          this.#entryOf(actor, query, facts[actor.actor_id]).catch((error: unknown) => {
            // The VM was destroyed after the engine listed it.
            if (isGone(error)) return undefined;
            throw error;
          }),
        ),
      );
      for (const [index, entry] of entries.entries()) {
        if (entry === undefined) continue;
        vms.push(entry);
        if (vms.length >= query.limit) return { vms, cursor: JSON.stringify(placeOf(wanted[index])) };
      }
      last = placeOf(actors.at(-1));
    }
    return { vms, cursor: JSON.stringify(last) };
  }

  /**
   * Lists the next actors, the newest first. The engine lists actors made before a time, so that actors of one millisecond are
   * asked for together, and come in the order of their ids.
   */
  async #after(name: string, last: Cursor | undefined): Promise<ListedActor[]> {
    for (let limit = STEP; ; limit *= 2) {
      const before = last && { cursor: String(last[0] + 1) };
      const actors = await this.#actors.ask((engine) =>
        listActors(engine, { name, limit: String(limit), ...before }),
      );
      const oldest = placeOf(actors.at(-1))?.[0];
      // There may be more of the last millisecond.
      const whole =
        actors.length < limit ? actors : actors.filter(({ create_ts: madeAt }) => madeAt !== oldest);
      const next = whole.sort(inOrder).filter((actor) => last === undefined || isAfter(actor, last));
      if (next.length > 0 || actors.length < limit) return next;
    }
  }

  /** @returns `undefined` for a VM that does not fit the query */
  async #entryOf(
    actor: ListedActor,
    query: VmQuery,
    live: LiveFacts | undefined,
  ): Promise<VmListEntry | undefined> {
    const { actor_id: actorId, key, create_ts: createdAt = 0, connectable_ts, sleep_ts } = actor;
    if (live === undefined && query.state !== undefined && query.state !== "sleeping") return undefined;
    // Nobody knows when a VM was used whose server does not answer, but not that it was idle since its creation.
    const facts = live ?? (await this.#asleep(actorId, sleep_ts ?? connectable_ts ?? createdAt));
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

function isAwake({ connectable_ts: startedAt, sleep_ts: sleptAt }: ListedActor): boolean {
  return typeof startedAt === "number" && typeof sleptAt !== "number";
}

function placeOf(actor: ListedActor): Cursor;
function placeOf(actor: ListedActor | undefined): Cursor | undefined;
function placeOf(actor: ListedActor | undefined): Cursor | undefined {
  return actor && [actor.create_ts ?? 0, actor.actor_id];
}

function inOrder(one: ListedActor, other: ListedActor): number {
  return isAfter(one, placeOf(other)) ? 1 : -1;
}

function isAfter(actor: ListedActor, [madeAt, actorId]: Cursor): boolean {
  const [at, id] = placeOf(actor);
  return at === madeAt ? id > actorId : at < madeAt;
}

function cursorOf(text: string | undefined): Cursor | undefined {
  if (text === undefined) return undefined;
  const { data } = cursorSchema.safeParse(parseJson(text));
  if (data === undefined) throw invalidArgument("cursor", "the cursor of a page", text);
  return data;
}
