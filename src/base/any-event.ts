import type { EventEmitter } from "node:events";

/** Resolves with the first of some events. An `error` is an event like the others, unlike with `once` of Node. */
export function anyEvent(emitter: EventEmitter, events: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      for (const event of events) emitter.off(event, done);
      resolve();
    };
    for (const event of events) emitter.on(event, done);
  });
}
