import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setImmediate, setTimeout } from "node:timers/promises";
import { ringAll } from "./instance.ts";

/** Longest wait before the clock is read again, in milliseconds: a clock that is set meanwhile is noticed then. */
const LONGEST_WAIT_MS = 60_000;

/** A clock that is behind its last reading by more than this was set back, in milliseconds. */
const SET_BACK_MS = 1_000;

/** The next actor is woken after this long also while the one before it is busy, in milliseconds. */
const PACE_MS = 10;

/** An actor that did not start is woken again after this long, in milliseconds. */
const RETRY_MS = 60_000;

/** What is used of RivetKit's driver of actors in the server's own process. */
export interface AlarmDriver {
  setAlarm(actor: { id: string }, timestamp: number): Promise<void>;
  cancelAlarm?(actorId: string): void;
  startDestroy(actorId: string): unknown;
  loadActor(actorId: string): Promise<{ onAlarm(): Promise<void> }>;
}

/**
 * The alarms of RivetKit 2.2's file system driver. Its own timers forget an actor that goes to sleep, and delete the
 * alarm's file before the actor has been told, so that a server that dies in between never wakes it. Here one timer
 * serves all actors, and the file stays until the actor has set its next alarm or has none.
 */
export class DriverAlarms {
  /** Where the driver keeps one file an actor. */
  readonly #folder: string;
  readonly #alarms = new Map<string, number>();
  readonly #due = new Set<string>();
  #isRinging = false;
  #driver: AlarmDriver | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lastSeen = Date.now();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Takes a driver's alarms over, in place. RivetKit makes two drivers on the same files; both are to be given. */
  takeOver<Driver extends AlarmDriver>(driver: Driver): Driver {
    const cancel = driver.cancelAlarm?.bind(driver) ?? (() => undefined);
    const setAlarm = driver.setAlarm.bind(driver);
    const startDestroy = driver.startDestroy.bind(driver);
    if (this.#driver === undefined) this.#load(cancel);
    this.#driver ??= driver;
    return Object.assign(driver, {
      setAlarm: async (actor: { id: string }, timestamp: number): Promise<void> => {
        this.#alarms.set(actor.id, timestamp);
        await setAlarm(actor, timestamp);
        cancel(actor.id);
        this.#arm();
      },
      startDestroy: (actorId: string): unknown => {
        this.#alarms.delete(actorId);
        return startDestroy(actorId);
      },
    });
  }

  /** Those of the last server, in whose stead the driver has just started timers of its own. */
  #load(cancel: (actorId: string) => void): void {
    for (const { actorId, at } of storedAlarms(this.#folder)) {
      cancel(actorId);
      this.#alarms.set(actorId, at);
    }
    this.#arm();
  }

  #arm(): void {
    clearTimeout(this.#timer);
    let earliest = Number.POSITIVE_INFINITY;
    for (const at of this.#alarms.values()) earliest = Math.min(earliest, at);
    if (earliest === Number.POSITIVE_INFINITY) return;
    const wait = earliest - Date.now();
    this.#timer = globalThis
      .setTimeout(() => this.#look(), Math.max(0, Math.min(wait, LONGEST_WAIT_MS)))
      .unref();
  }

  #look(): void {
    const now = Date.now();
    const isSetBack = now < this.#lastSeen - SET_BACK_MS;
    this.#lastSeen = now;
    // What an actor has asked for may lie years ahead then: all of them think again.
    if (isSetBack) ringAll();
    for (const [actorId, at] of [...this.#alarms]) {
      if (at > now && !isSetBack) continue;
      if (at <= now) this.#alarms.delete(actorId);
      this.#due.add(actorId);
    }
    this.#arm();
    if (this.#due.size > 0 && !this.#isRinging) void this.#ringDue();
  }

  /** One after the other, so that fifty actors that wake in one second do not stop the event loop together. */
  async #ringDue(): Promise<void> {
    this.#isRinging = true;
    for (const actorId of this.#due) {
      this.#due.delete(actorId);
      await Promise.race([this.#ring(actorId), setTimeout(PACE_MS)]);
      await setImmediate();
    }
    this.#isRinging = false;
  }

  async #ring(actorId: string): Promise<void> {
    try {
      // Waits for an actor that is just going to sleep, and wakes one that sleeps.
      const actor = await this.#driver?.loadActor(actorId);
      await actor?.onAlarm();
    } catch (error) {
      // One that has been destroyed needs no alarm. RivetKit logs why another one does not start.
      const isGone = (error as { code?: unknown }).code === "not_found";
      if (!isGone && !this.#alarms.has(actorId)) this.#alarms.set(actorId, Date.now() + RETRY_MS);
      this.#arm();
    }
    if (!this.#alarms.has(actorId)) rmSync(join(this.#folder, actorId), { force: true });
  }
}

/** The alarms of actors as the driver has stored them: a version, the actor's id and a time, in BARE. */
function storedAlarms(folder: string): { actorId: string; at: number }[] {
  return names(folder).flatMap((actorId) => {
    if (actorId.includes(".tmp.")) return [];
    const bytes = readFileSync(join(folder, actorId));
    const idAt = 3;
    const idBytes = bytes[2] ?? 0;
    const at = readUint(bytes.subarray(idAt + idBytes));
    return Number.isSafeInteger(at) ? [{ actorId, at }] : [];
  });
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** A number in groups of seven bits, the lowest first. */
function readUint(bytes: Uint8Array): number {
  let value = 0;
  for (const [index, byte] of bytes.entries()) value += (byte & 0x7f) * 2 ** (7 * index);
  return bytes.length === 0 ? Number.NaN : value;
}
