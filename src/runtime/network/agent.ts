import { Agent, type ClientRequestArgs } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

/** A connection that nobody uses for this long is closed: most servers keep theirs a little longer. */
const KEEP_MS = 4_000;

/** Connections to one port; further requests wait for one of them. */
const MAX_SOCKETS = 128;

const MAX_KEPT_SOCKETS = 64;

export type Connect = (port: number, signal?: AbortSignal) => Promise<Socket>;

/** HTTP connections to the ports of one VM, kept for the next request. */
export class VmAgent extends Agent {
  readonly #connect: Connect;

  constructor(connect: Connect) {
    super({ keepAlive: true, timeout: KEEP_MS, maxSockets: MAX_SOCKETS, maxFreeSockets: MAX_KEPT_SOCKETS });
    this.#connect = connect;
  }

  override createConnection(
    options: ClientRequestArgs,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    connectWith(this.#connect)(options, callback);
    return undefined;
  }
}

/** The same for a request that wants a connection of its own. */
export function connectWith(connect: Connect) {
  return (
    { port, signal }: ClientRequestArgs,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): undefined => {
    connect(Number(port), signal ?? undefined).then(
      (socket) => callback?.(null, socket),
      // Node's type has a stream beside the error, its code has none.
      (error: Error) => callback?.(error, undefined as unknown as Duplex),
    );
    return undefined;
  };
}
