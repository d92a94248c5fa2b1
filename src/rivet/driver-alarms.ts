import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setImmediate, setTimeout } from "node:timers/promises";
import { BareReader } from "../base/bare.ts";
import { ifThere } from "../base/system-errors.ts";

/**
 * Time after which the server notices that its clock was set.
 * @unit ms
 */
const LONGEST_WAIT_MS = 60_000;

/** Milliseconds by which a clock must be behind its last reading to count as set back. */
const SET_BACK_MS = 1_000;

/**
 * Pause before the server wakes the next sleeping VM while another is still waking.
 * @unit ms
 */
const PACE_MS = 10;

/**
 * Pause before the server wakes an actor with an alarm again after its start failed.
 * @unit ms
 */
const RETRY_MS = 60_000;

/** The part of RivetKit's driver of actors that alarms need. */
interface AlarmDriver {
  setAlarm(actor: { id: string }, timestamp: number): Promise<void>;
  cancelAlarm?(actorId: string): void;
  startDestroy(actorId: string): unknown;
  loadActor(actorId: string): Promise<{ onAlarm(): Promise<void> }>;
}

/**
 * Rings the alarms of actors, in place of RivetKit's own timers.
 *
 * For RivetKit 2.2's file system driver. Its timers forget an actor that goes to sleep. They also delete an alarm's file
 * before the actor has run, so that a server that dies in between never wakes the actor. Here one timer serves all actors,
 * and an alarm's file stays until the actor has set its next alarm or needs none.
 */
export class DriverAlarms {
  readonly #folder: string;
  readonly #ringAll: () => void;
  readonly #alarms = new Map<string, number>();
  readonly #due = new Set<string>();
  #isRinging = false;
  #driver: AlarmDriver | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lastSeen = Date.now();

  /**
   * @param folder the driver's folder of alarms, one file per actor.
   * @param ringAll makes every awake actor recompute its alarm; called after the clock was set back.
   */
  constructor(folder: string, ringAll: () => void) {
    this.#folder = folder;
    this.#ringAll = ringAll;
  }

  /** Changes a driver in place. RivetKit makes two drivers on one folder: pass both. */
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

  /** Loads the alarms that the previous server left on disk, and cancels the timers RivetKit has just armed for them. */
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
      .setTimeout(() => this.#checkAlarms(), Math.max(0, Math.min(wait, LONGEST_WAIT_MS)))
      .unref();
  }

  #checkAlarms(): void {
    const now = Date.now();
    const isSetBack = now < this.#lastSeen - SET_BACK_MS;
    this.#lastSeen = now;
    // Pending alarms may be years ahead of the new time, so every awake actor recomputes its own.
    if (isSetBack) this.#ringAll();
    for (const [actorId, at] of [...this.#alarms]) {
      if (at > now && !isSetBack) continue;
      if (at <= now) this.#alarms.delete(actorId);
      this.#due.add(actorId);
    }
    this.#arm();
    if (this.#due.size > 0 && !this.#isRinging) void this.#ringDue();
  }

  /** Rings one actor after the other: fifty actors that wake within one second would hold the event loop. */
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
      // Waits until an actor that is falling asleep sleeps, and wakes a sleeping actor.
      const actor = await this.#driver?.loadActor(actorId);
      await actor?.onAlarm();
    } catch (error) {
      // A destroyed actor needs no alarm. RivetKit logs why any other actor does not start.
      const isGone = (error as { code?: unknown }).code === "not_found";
      if (!isGone && !this.#alarms.has(actorId)) this.#alarms.set(actorId, Date.now() + RETRY_MS);
      this.#arm();
    }
    if (!this.#alarms.has(actorId)) rmSync(join(this.#folder, actorId), { force: true });
  }
}

/** Reads the alarms that the driver has stored. */
function storedAlarms(folder: string): { actorId: string; at: number }[] {
  return (ifThere(() => readdirSync(folder)) ?? []).flatMap((actorId) => {
    if (actorId.includes(".tmp.")) return [];
    const at = alarmTime(readFileSync(join(folder, actorId)));
    return Number.isSafeInteger(at) ? [{ actorId, at }] : [];
  });
}

/** The time in the file of an alarm, which has a version, the actor's id and a time, in BARE; `NaN` if it is cut short. */
export function alarmTime(bytes: Uint8Array): number {
  const reader = new BareReader(bytes);
  try {
    reader.version();
    reader.data();
    return reader.integer();
  } catch {
    return Number.NaN;
  }
}
