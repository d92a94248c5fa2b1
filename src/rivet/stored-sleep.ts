import { setTimeout as delay } from "node:timers/promises";

/** Pause before an idle actor tries again to fall asleep. */
const RETRY_MS = 5_000;

/** The part of RivetKit's actor that puts it to sleep. */
interface Actor {
  readonly isStopping: boolean;
  /** Ends the actor, also one in use. */
  startSleep(): void;
  /** Called with each use of the actor. Begins the time after which an actor without use falls asleep. */
  resetSleepTimer(): void;
}

const taken = new WeakSet<Actor>();

/**
 * Lets an actor fall asleep only when its files can be stored. An actor with a use meanwhile stays awake, until it is idle again.
 *
 * For RivetKit 2.2, which neither destroys an actor that it has begun to put to sleep, nor looks again whether somebody uses it.
 *
 * @param maySleep stores the files if there is little room. Resolves with whether they are stored
 */
export function sleepOnceStored(actor: Actor, maySleep: () => true | Promise<boolean>): void {
  if (taken.has(actor)) return;
  taken.add(actor);
  const startSleep = actor.startSleep.bind(actor);
  const resetSleepTimer = actor.resetSleepTimer.bind(actor);
  let uses = 0;
  const sleepLate = async (stored: Promise<boolean>) => {
    const before = uses;
    const isIdle = () => uses === before && !actor.isStopping;
    for (let may: true | Promise<boolean> = stored; !(await may); may = maySleep()) {
      if (!isIdle()) return;
      await delay(RETRY_MS, undefined, { ref: false });
      if (!isIdle()) return;
    }
    if (isIdle()) startSleep();
  };
  actor.resetSleepTimer = () => {
    uses += 1;
    resetSleepTimer();
  };
  actor.startSleep = () => {
    const may = maySleep();
    if (may === true) startSleep();
    else void sleepLate(may);
  };
}
