/** The part of a connection to the engine that this repair uses. */
interface Connection {
  addEventListener(type: "close", callback: () => void): void;
}

/** The part of RivetKit's runner that this repair uses. A runner has one connection to the engine at a time. */
interface RunnerPart {
  /** The connection, if it is open. */
  getPegboardWebSocketIfReady(): Connection | undefined;
}

type Method = (this: RunnerPart, ...args: never[]) => Promise<unknown>;

/** Methods of the runner that ask the engine about the storage of an actor. */
const METHODS = [
  "kvGet",
  "kvListAll",
  "kvListPrefix",
  "kvListRange",
  "kvPut",
  "kvDelete",
  "kvDeleteRange",
  "kvDrop",
] as const;

/** A runner with its requests to the storage of actors. */
export type StorageRequests = RunnerPart & Partial<Record<(typeof METHODS)[number], Method>>;

/** Runners that are changed already. */
const changed = new WeakSet<object>();

/** Work for the moment at which a connection closes, by RivetKit's connection: one listener of a connection serves all its requests. */
const closings = new WeakMap<Connection, Set<() => void>>();

/**
 * Repeats requests to the storage of actors whose connection to the engine has closed before the answer.
 *
 * For RivetKit 2.2, which repeats only requests that it has not sent, and rejects the others after 30 to 45 s. Each request
 * has the same effect when it is made twice. The engine carries out the requests of a connection one after another, and
 * drops the rest of a connection that has closed.
 *
 * @param prototype prototype of RivetKit's runners. It is changed in place.
 */
export function repeatLostRequests(prototype: StorageRequests): void {
  if (changed.has(prototype)) return;
  changed.add(prototype);
  for (const name of METHODS) {
    const request = prototype[name];
    if (request === undefined) continue;
    prototype[name] = async function repeat(...args) {
      for (;;) {
        const connection = this.getPegboardWebSocketIfReady();
        const answer = request.apply(this, args);
        // RivetKit sends it over the next connection.
        if (connection === undefined) return await answer;
        if (await comes(answer, connection)) return await answer;
      }
    };
  }
}

/** Waits for an answer, or for its failure. @returns whether it has come before the connection closed */
async function comes(answer: Promise<unknown>, connection: Connection): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const close = () => resolve(false);
  const waiting = waitingFor(connection);
  waiting.add(close);
  answer.then(
    () => resolve(true),
    () => resolve(true),
  );
  try {
    return await promise;
  } finally {
    waiting.delete(close);
  }
}

function waitingFor(connection: Connection): Set<() => void> {
  let waiting = closings.get(connection);
  if (waiting === undefined) {
    const made = new Set<() => void>();
    connection.addEventListener("close", () => {
      for (const close of made) close();
    });
    closings.set(connection, made);
    waiting = made;
  }
  return waiting;
}
