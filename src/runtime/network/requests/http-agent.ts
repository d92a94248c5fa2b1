import { Agent, type ClientRequestArgs } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

/** Milliseconds after which an unused connection is closed. Most servers keep connections a little longer. */
const KEEP_MS = 4_000;

/**
 * Kept connections of `vmFetch` to one port.
 * @unit connections
 * @past Further requests wait for a free connection.
 */
const MAX_SOCKETS = 128;

const MAX_KEPT_SOCKETS = 128;

/** Without a name for TLS, Node 24 reads it from the Host header, and throws if the header is a list of one value. */
const PLAIN = { servername: "" };

/** A request whose connection need not be opened any more when the signal aborts. The request itself does not heed it. */
export interface WithConnectSignal {
  connectSignal?: AbortSignal;
}

export type Connect = (port: number, signal?: AbortSignal) => Promise<Socket>;

/** Keeps HTTP connections to the ports of one VM for later requests. */
export class VmAgent extends Agent {
  readonly #connect: Connect;

  /** @param maxSockets connections to one port */
  constructor(connect: Connect, maxSockets = MAX_SOCKETS) {
    super({ ...PLAIN, keepAlive: true, timeout: KEEP_MS, maxSockets, maxFreeSockets: MAX_KEPT_SOCKETS });
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

/**
 * Opens a connection for each request, and closes it after its response. The request does not say so: a server that knows it
 * closes the connection with its response, and an early response would get lost behind the body that is still under way.
 */
export class FreshAgent extends VmAgent {
  override keepSocketAlive(): void {
    // Node closes a socket for which this returns nothing. Its type allows no other result.
  }
}

/** Returns a `createConnection` option that opens a new connection to a port of the VM. */
export function connectWith(connect: Connect) {
  return (
    { port, signal, connectSignal = signal }: ClientRequestArgs & WithConnectSignal,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): undefined => {
    connect(Number(port), connectSignal).then(
      (socket) => callback?.(null, socket),
      // Node's type requires a stream beside the error, but its code ignores it.
      (error: Error) => callback?.(error, undefined as unknown as Duplex),
    );
    return undefined;
  };
}
