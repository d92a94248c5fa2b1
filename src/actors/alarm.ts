import { actionNotFound } from "../api/errors.ts";
import type { VmContext, VmState } from "./context.ts";
import { toUserError, userError } from "./errors.ts";

/** The action that RivetKit calls when an alarm is due. Not part of the API: a client is told that there is none. */
export const ALARM_ACTION = "ringCron";

/** Alarms ahead of an actor before further ones come early. */
const MAX_EXACT_ALARMS = 16;

/** What is used of an actor. */
export interface AlarmActor {
  /** Absent in an actor that was made before there were alarms. */
  readonly state: VmState | undefined;
  readonly schedule: { at(timestampMs: number, action: string): Promise<void> };
}

/**
 * An actor's alarm on RivetKit's schedule, which has no way to take one back: one that is not needed any more rings all
 * the same, which does no harm. Those ahead are kept in the actor's state, which RivetKit stores together with its
 * schedule, so that the two never disagree.
 */
export class ActorAlarm {
  readonly #actor: AlarmActor;
  readonly #substitute: VmState = { alarms: [] };

  constructor(actor: AlarmActor) {
    this.#actor = actor;
  }

  get #state(): VmState {
    return this.#actor.state ?? this.#substitute;
  }

  /** Makes an alarm ring at a time or before; whoever hears it asks again. */
  async wakeAt(timestampMs: number | null): Promise<void> {
    if (timestampMs === null) return;
    const ahead = this.#ahead();
    if (ahead.some((alarm) => alarm <= timestampMs)) return;
    const now = Date.now();
    // Half the way at a time, a caller who asks for ever earlier ones comes to the present after some forty.
    const isCrowded = ahead.length >= MAX_EXACT_ALARMS && timestampMs > now;
    const at = isCrowded ? Math.floor(now + (timestampMs - now) / 2) : timestampMs;
    this.#state.alarms = [...ahead, at];
    await this.#actor.schedule.at(at, ALARM_ACTION);
  }

  /** An alarm has rung. */
  rang(): void {
    const ahead = this.#ahead();
    if (ahead.length < this.#state.alarms.length) this.#state.alarms = ahead;
  }

  #ahead(): number[] {
    const now = Date.now();
    return this.#state.alarms.filter((alarm) => alarm > now);
  }
}

/** Answers RivetKit's alarm. A call with a connection is a client's. */
export async function ringCron(c: VmContext): Promise<null> {
  if ("conn" in (c as object)) throw userError(actionNotFound(ALARM_ACTION));
  const { instance } = c.vars;
  try {
    await instance.ring();
    return null;
  } catch (error) {
    throw toUserError(error, c.log, ALARM_ACTION);
  }
}
