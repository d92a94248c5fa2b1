import { setTimeout as delay } from "node:timers/promises";

/** A message to the engine, as RivetKit's protocol decodes it. */
interface Message {
  tag: string;
  val: unknown;
}

/** The part of RivetKit's runner that this repair changes. Its connection is `undefined` unless it is open. */
export interface DrainedRunner {
  readonly actors: { readonly size: number };
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
        if (isKnown) send.call(this, STOPPING);
      }
      await now.left;
    }
    await shutdown.call(this, immediate, exit);
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
