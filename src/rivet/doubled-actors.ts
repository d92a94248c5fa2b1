import { within } from "../base/within.ts";

/** The part of RivetKit's actor that this repair uses. */
interface Actor {
  start(...args: unknown[]): Promise<void>;
  onStop(mode: "sleep" | "destroy"): Promise<void>;
}

/** Places of arguments of `start`: the actor's id, and the storage that RivetKit has read ahead. */
const ACTOR_ID = 2;
const READ_AHEAD = 6;

/** Ends the running actor of an id. */
const ends = new Map<string, () => Promise<void>>();

/**
 * Makes an actor that starts end an older actor of its id first, whatever the end of the older one says.
 *
 * For RivetKit 2.2 behind a Rivet Engine. An engine that restarts repeats its start commands, and RivetKit starts actors
 * a second time that run in this process. The older ones would never stop, and their sleep timers would end the newer ones.
 *
 * @param limitMs longest wait for the older actor
 */
export function endDoubledActors(definition: object, limitMs: number): void {
  const made = definition as { instantiate?(): Actor };
  const instantiate = made.instantiate?.bind(definition);
  if (instantiate === undefined) return;
  made.instantiate = () => {
    const actor = instantiate();
    const start = actor.start.bind(actor);
    const stop = actor.onStop.bind(actor);
    let forget = (): void => undefined;
    actor.start = (...args) => {
      const actorId = String(args[ACTOR_ID]);
      const started = startAfter(ends.get(actorId), limitMs, start, args);
      const end = async () => {
        await started.catch(() => undefined);
        await actor.onStop("sleep");
      };
      ends.set(actorId, end);
      forget = () => {
        if (ends.get(actorId) === end) ends.delete(actorId);
      };
      return started;
    };
    actor.onStop = async (mode) => {
      try {
        await stop(mode);
      } finally {
        forget();
      }
    };
    return actor;
  };
}

async function startAfter(
  endOlder: (() => Promise<void>) | undefined,
  limitMs: number,
  start: Actor["start"],
  args: unknown[],
): Promise<void> {
  if (endOlder !== undefined) {
    await within(
      endOlder().catch(() => undefined),
      limitMs,
    );
    // RivetKit has read this before the older actor stored its last state. Without it, RivetKit reads again.
    args.length = Math.min(args.length, READ_AHEAD);
  }
  await start(...args);
}
