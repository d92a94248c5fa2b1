import type { VmListEntry } from "../../client/index.ts";
import type { Session } from "./session.ts";

/** A machine with the name of its actor. */
export interface ListedMachine extends VmListEntry {
  name: string;
  id: string;
}

/** CPUs and memory of a machine of late. */
export interface Trend {
  /** CPUs in use, oldest first; a machine that sleeps uses none. */
  cpus: number[];
  memory: number[];
}

/** Points of a trend. */
const POINTS = 40;
/** Machines of one request, the most that the server lists. */
const PAGE = 1000;
/** Machines that the console lists. */
const MOST = 10_000;

/** Lists every machine that the token reaches. It reads the server's index: no machine wakes. */
export async function listMachines(session: Session): Promise<ListedMachine[]> {
  const found: ListedMachine[] = [];
  for (const name of session.names) {
    let cursor: string | null = "";
    while (cursor !== null && found.length < MOST) {
      const page = await session.vms(name).list({ use: true, limit: PAGE, ...(cursor !== "" && { cursor }) });
      for (const entry of page.vms) found.push({ ...entry, name, id: entry.actorId });
      cursor = page.cursor;
    }
  }
  return found;
}

/** The trends of machines, made from one list after another. */
export class Trends {
  readonly #last = new Map<string, { cpuMs: number; at: number; trend: Trend }>();

  /** Adds a list. Forgets machines that it does not have. */
  add(machines: readonly ListedMachine[], at = performance.now()): void {
    const seen = new Set<string>();
    for (const { id, use } of machines) {
      seen.add(id);
      const last = this.#last.get(id);
      const cpuMs = use?.cpuMs ?? 0;
      const trend = last?.trend ?? { cpus: [], memory: [] };
      const isNewBoot = last === undefined || cpuMs < last.cpuMs;
      const cpus = isNewBoot ? 0 : (cpuMs - last.cpuMs) / Math.max(1, at - last.at);
      push(trend.cpus, cpus);
      push(trend.memory, use?.memoryBytes ?? 0);
      this.#last.set(id, { cpuMs, at, trend });
    }
    for (const id of this.#last.keys()) if (!seen.has(id)) this.#last.delete(id);
  }

  of(id: string): Trend {
    return this.#last.get(id)?.trend ?? { cpus: [], memory: [] };
  }
}

function push(points: number[], point: number): void {
  points.push(point);
  if (points.length > POINTS) points.shift();
}

/** Returns whether a machine fits a search: words of its key or its labels (`tier=free`), and `is:awake`. */
export function fits(machine: ListedMachine, search: string): boolean {
  const labels = Object.entries(machine.labels).map(([name, value]) => `${name}=${value}`);
  const text = [machine.key.join("/"), ...labels].join(" ").toLowerCase();
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return words.every((word) =>
    word.startsWith("is:") ? word === `is:${machine.state}` : text.includes(word),
  );
}
