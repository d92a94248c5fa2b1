import { actionNotFound } from "../api/errors.ts";
import { isClientCall } from "../rivet/actions.ts";
import { userError, withUserErrors } from "../rivet/user-error.ts";
import type { VmContext, VmState } from "./context.ts";

/** Action that RivetKit calls when an alarm is due. Not part of the API: a client gets `action_not_found`. */
export const ALARM_ACTION = "ringCron";

/**
 * Pending alarms of one VM, each earlier than the ones before.
 * @unit alarms
 * @past A further alarm also rings half-way, and is then set again.
 */
const MAX_EXACT_ALARMS = 16;

/** The part of an actor that its alarm uses. */
export interface AlarmActor {
  readonly state: VmState;
  readonly schedule: { at(timestampMs: number, action: string): Promise<void> };
}

/**
 * An actor's alarm on RivetKit's schedule. RivetKit cannot cancel an alarm, so an unneeded alarm still rings, without
 * effect. The actor's state keeps the pending alarms. RivetKit stores the state together with its schedule, so that the two
 * never disagree.
 */
export class ActorAlarm {
  readonly #actor: AlarmActor;

  constructor(actor: AlarmActor) {
    this.#actor = actor;
  }

  /**
   * Makes an alarm ring at a time or before. The VM then asks for its next alarm.
   *
   * @param timestampMs Unix milliseconds; `null` asks for nothing
   */
  async wakeAt(timestampMs: number | null): Promise<void> {
    if (timestampMs === null) return;
    const ahead = this.#ahead();
    if (ahead.some((alarm) => alarm <= timestampMs)) return;
    const now = Date.now();
    // Each further alarm halves the time that is left, so earlier and earlier requests end after about 40 alarms.
    const isCrowded = ahead.length >= MAX_EXACT_ALARMS && timestampMs > now;
    const at = isCrowded ? Math.floor(now + (timestampMs - now) / 2) : timestampMs;
    this.#actor.state.alarms = [...ahead, at];
    await this.#actor.schedule.at(at, ALARM_ACTION);
  }

  /** Forgets alarms that have rung. */
  rang(): void {
    const ahead = this.#ahead();
    if (ahead.length < this.#actor.state.alarms.length) this.#actor.state.alarms = ahead;
  }

  #ahead(): number[] {
    const now = Date.now();
    return this.#actor.state.alarms.filter((alarm) => alarm > now);
  }
}

/** Answers RivetKit's alarm. A client that calls this action gets `action_not_found`. */
export async function ringCron(c: VmContext): Promise<null> {
  if (isClientCall(c)) throw userError(actionNotFound(ALARM_ACTION));
  await withUserErrors(c.vars.instance.monitor.log, ALARM_ACTION, () => c.vars.instance.ring());
  return null;
}
