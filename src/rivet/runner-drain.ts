import { setTimeout as delay } from "node:timers/promises";

/** A message to the engine, as RivetKit's protocol decodes it. */
interface Message {
  tag: string;
  val: unknown;
}

/** An actor of RivetKit's runner. */
interface RunActor {
  readonly generation: number;
}

/** The part of RivetKit's runner that this repair changes. Its connection is `undefined` unless it is open. */
export interface DrainedRunner {
  /** The runner's own map. */
  readonly actors: Map<string, RunActor>;
  /** The runner's own options. */
  readonly config: { onActorStart(actorId: string, generation: number, ...more: never[]): Promise<void> };
  getPegboardWebSocketIfReady(): unknown;
  __sendToServer(message: Message): void;
  shutdown(immediate: boolean, exit?: boolean): Promise<void>;
}

/** Pause between two looks at the actors that the engine stops. */
const LOOK_MS = 50;

/**
 * Wait for a connection on which the engine hears that the last actor has stopped.
 * @unit ms
 */
const TELL_MS = 10_000;

const STOPPING: Message = { tag: "ToServerStopping", val: null };

interface Leaving {
  /** Resolves when the actors have ended. */
  left: Promise<void>;
  /** Whether the engine has long heard that the runner leaves. It destroys actors that end in order before it knows. */
  isKnown: boolean;
}

/** Runners that leave the engine. */
const leaving = new WeakMap<object, Leaving>();

/** Prototypes that are changed already. */
const changed = new WeakSet<object>();

/**
 * Makes a runner that shuts down tell the engine so over each connection, and connect again until its actors have ended.
 *
 * For RivetKit 2.2, whose runner never connects again once it shuts down. Without a connection at that moment, as while the engine
 * restarts, the engine would never stop its actors, and they could not store anything.
 *
 * @param prototype prototype of RivetKit's runners. It is changed in place.
 */
export function drainOverReconnects(prototype: DrainedRunner): void {
  if (changed.has(prototype)) return;
  changed.add(prototype);
  const { shutdown, __sendToServer: send } = prototype;
  prototype.__sendToServer = function (message) {
    const now = leaving.get(this);
    send.call(this, now?.isKnown ? asOrderly(message) : message);
    if (now === undefined || message.tag !== "ToServerInit") return;
    now.isKnown = false;
    send.call(this, STOPPING);
  };
  prototype.shutdown = async function (immediate, exit) {
    if (!immediate) {
      let now = leaving.get(this);
      if (now === undefined) {
        const isKnown = this.getPegboardWebSocketIfReady() !== undefined;
        now = { left: leave(this), isKnown };
        leaving.set(this, now);
        ignoreRepeatedStarts(this);
        if (isKnown) send.call(this, STOPPING);
      }
      await now.left;
    }
    await shutdown.call(this, immediate, exit);
  };
}

/**
 * Makes a runner ignore commands to start actors that it runs. An engine that restarts repeats its commands. RivetKit would start such an actor again,
 * which a server that shuts down refuses, and would count its events from 0, so that the engine would miss its end.
 */
function ignoreRepeatedStarts({ actors, config }: DrainedRunner): void {
  const set = actors.set.bind(actors);
  const start = config.onActorStart.bind(config);
  const repeated = new Set<string>();
  const runs = (actorId: string, generation: number) => actors.get(actorId)?.generation === generation;
  // RivetKit notes an actor and starts it in the same turn.
  actors.set = (actorId, actor) => {
    if (!runs(actorId, actor.generation)) return set(actorId, actor);
    repeated.add(actorId);
    return actors;
  };
  config.onActorStart = async (actorId, ...more) => {
    if (!repeated.delete(actorId)) await start(actorId, ...more);
  };
}

/** Waits until the engine has stopped the actors of a runner, and can hear it. */
async function leave(runner: DrainedRunner): Promise<void> {
  if (runner.actors.size === 0) return;
  while (runner.actors.size > 0) await delay(LOOK_MS);
  const until = performance.now() + TELL_MS;
  while (runner.getPegboardWebSocketIfReady() === undefined && performance.now() < until)
    await delay(LOOK_MS);
}

interface ActorEvent {
  inner?: { tag?: unknown; val?: { state?: { tag?: unknown; val?: { code?: unknown } | null } } };
}

/**
 * Marks the ends of actors as orderly, as RivetKit does while it shuts down: the engine then starts them elsewhere at once. It takes others
 * for crashes, and starts them when they are called.
 */
function asOrderly(message: Message): Message {
  if (message.tag !== "ToServerEvents" || !Array.isArray(message.val)) return message;
  const val = (message.val as ActorEvent[]).map((event) => {
    const state = event.inner?.val?.state;
    if (state?.val?.code !== "Error") return event;
    const ended = { ...state, val: { ...state.val, code: "Ok" } };
    return { ...event, inner: { ...event.inner, val: { ...event.inner?.val, state: ended } } };
  });
  return { ...message, val };
}
