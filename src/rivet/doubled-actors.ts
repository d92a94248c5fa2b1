import { within } from "../base/within.ts";

/** The part of RivetKit's actor that this repair uses. */
interface Actor {
  start(...args: unknown[]): Promise<void>;
  onStop(mode: "sleep" | "destroy"): Promise<void>;
}

/** Places of arguments of `start`: RivetKit's driver, the actor's id, and the storage that RivetKit has read ahead. */
const DRIVER = 0;
const ACTOR_ID = 2;
const READ_AHEAD = 6;

/** Keeps RivetKit from its work after the end of an actor, which would remove a newer actor of the same id. */
const NEVER = new Promise<never>(() => undefined);

/** Ends the running actor of an id. */
const ends = new Map<string, () => Promise<void>>();

interface RepairOptions {
  /** Longest wait for the older actor, in milliseconds. */
  limitMs: number;
  /** Called with RivetKit's driver before an actor starts. @default nothing */
  onDriver?(driver: object): void;
  /** Runs before RivetKit stops an actor, which hears its clients until then. @default nothing */
  beforeStop?(actorId: string): Promise<void>;
}

/** Whether an actor of this process runs, starts or stops. */
export function hasActors(): boolean {
  return ends.size > 0;
}

/**
 * Makes an actor that starts end an older actor of its id first, whatever the end of the older one says.
 *
 * For RivetKit 2.2 behind a Rivet Engine. An engine that restarts repeats its start commands, and RivetKit starts actors
 * a second time that run in this process. The older ones would never stop, and their sleep timers would end the newer ones.
 * A stop that a newer actor has overtaken, as after the pause of a machine, never ends for RivetKit, which would forget the
 * newer one. A second stop waits for the end of the first: RivetKit's returns at once, and the engine would start the actor elsewhere.
 */
export function endDoubledActors(definition: object, { limitMs, onDriver, beforeStop }: RepairOptions): void {
  const made = definition as { instantiate?(): Actor };
  const instantiate = made.instantiate?.bind(definition);
  if (instantiate === undefined) return;
  made.instantiate = () => {
    const actor = instantiate();
    const start = actor.start.bind(actor);
    const stop = actor.onStop.bind(actor);
    let forget = (): void => undefined;
    let isOvertaken = (): boolean => false;
    let id: string | undefined;
    let stopped: Promise<void> | undefined;
    const end = async (mode: "sleep" | "destroy") => {
      try {
        if (id !== undefined) await beforeStop?.(id);
        await stop(mode);
      } finally {
        forget();
      }
    };
    actor.start = (...args) => {
      const actorId = String(args[ACTOR_ID]);
      id = actorId;
      onDriver?.(Object(args[DRIVER]));
      const started = startAfter(ends.get(actorId), limitMs, start, args);
      const endAfterStart = async () => {
        await started.catch(() => undefined);
        stopped ??= end("sleep");
        await stopped;
      };
      ends.set(actorId, endAfterStart);
      isOvertaken = () => ends.has(actorId) && ends.get(actorId) !== endAfterStart;
      forget = () => {
        if (ends.get(actorId) === endAfterStart) ends.delete(actorId);
      };
      // RivetKit stops no actor whose start has failed.
      started.catch(() => forget());
      return started;
    };
    actor.onStop = async (mode) => {
      stopped ??= end(mode);
      await stopped;
      if (isOvertaken()) await NEVER;
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
