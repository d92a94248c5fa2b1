import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { HALF_OPEN_MS } from "../limits.ts";

/**
 * Time for a client to close a connection whose other side has closed.
 * @unit ms
 * @past The server cuts the connection.
 */
const CLOSE_GRACE_MS = 2_000;

/**
 * Relays bytes both ways until both sides have ended.
 *
 * @param client the side that asked for the connection. Its owner handles its errors.
 * @param halfOpenMs time without a byte after which a connection is cut that one side has ended
 */
export function relaySockets(client: Duplex, other: Duplex, halfOpenMs = HALF_OPEN_MS): void {
  other.on("error", () => client.destroy());
  // A client that left while the connection opened closes no second time.
  if (client.destroyed) return void other.destroy();
  // Deliver what has arrived, for example the close frame of a WebSocket, then close.
  other.once("close", () => client.end(() => setTimeout(() => client.destroy(), CLOSE_GRACE_MS).unref()));
  client.once("close", () => other.destroy());
  for (const side of [client, other]) {
    side.once("end", () => {
      for (const each of [client, other])
        (each as Partial<Socket>).setTimeout?.(halfOpenMs, () => each.destroy());
    });
  }
  client.pipe(other).pipe(client);
}
