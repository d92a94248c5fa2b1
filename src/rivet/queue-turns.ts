import { deferred } from "../base/deferred.ts";
import { Mutex } from "../base/mutex.ts";

/** The part of RivetKit's queue that takes and hands out messages. */
interface Queue {
  enqueue(...args: unknown[]): Promise<unknown>;
  receive(...args: unknown[]): Promise<unknown>;
  waitForNames(...args: unknown[]): Promise<unknown>;
}

/** The part of RivetKit's actor that has the queue. */
interface QueueActor {
  queueManager?: Queue | undefined;
  /** Called when a reader begins to wait for a message. */
  beginQueueWait(): void;
}

/**
 * Makes the queue of an actor hand out each message once.
 *
 * For RivetKit 2.2, whose queue reads its messages and then deletes one in the storage, which takes as long as a sync of the disk. A message that
 * arrives meanwhile is deleted for the same reader, which takes only the first one: the other is lost. A second reader gets the message
 * that is being deleted again. Here messages arrive one after the other, and a reader looks between two of them.
 */
export function orderQueues(definition: object): void {
  const made = definition as { instantiate?(): QueueActor };
  const instantiate = made.instantiate?.bind(definition);
  if (instantiate === undefined) return;
  made.instantiate = () => {
    const actor = instantiate();
    let queue: Queue | undefined;
    // RivetKit makes the queue when it starts the actor.
    Object.defineProperty(actor, "queueManager", {
      configurable: true,
      enumerable: true,
      get: () => queue,
      set(made: Queue | undefined) {
        queue = made && inTurns(actor, made);
      },
    });
    return actor;
  };
}

/** Changes a queue in place. */
function inTurns(actor: QueueActor, queue: Queue): Queue {
  const turns = new Mutex();
  let onWait = (): void => undefined;
  const beginQueueWait = actor.beginQueueWait.bind(actor);
  actor.beginQueueWait = () => {
    beginQueueWait();
    onWait();
  };
  /** The turn of a reader ends when it has its answer or begins to wait. */
  const reader =
    (read: Queue["receive"]): Queue["receive"] =>
    async (...args) => {
      let reading: Promise<unknown> = Promise.resolve();
      await turns.run(async () => {
        const waiting = deferred<void>();
        onWait = () => waiting.resolve();
        reading = read(...args);
        const settled = reading.then(
          () => undefined,
          () => undefined,
        );
        await Promise.race([waiting.promise, settled]);
      });
      return await reading;
    };
  const enqueue = queue.enqueue.bind(queue);
  return Object.assign(queue, {
    enqueue: (...args: unknown[]) => turns.run(() => enqueue(...args)),
    receive: reader(queue.receive.bind(queue)),
    waitForNames: reader(queue.waitForNames.bind(queue)),
  } satisfies Queue);
}
