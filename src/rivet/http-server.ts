import diagnostics from "node:diagnostics_channel";
import { Server } from "node:http";
import type { AddressInfo } from "node:net";

/** Callbacks with RivetKit's HTTP server, or the reason why it does not listen. RivetKit may listen again after an error. */
interface HttpServerEvents {
  onServer(server: Server): void;
  onError(error: Error): void;
}

const LISTENING = "tracing:net.server.listen:asyncEnd";
const FAILED = "tracing:net.server.listen:error";

/**
 * Finds the HTTP server that RivetKit starts, before it accepts a connection.
 *
 * For RivetKit 2.2, which does not expose its server and has no hook in front of its routes. Node publishes each server
 * that begins to listen on a diagnostics channel. RivetKit 2.3 listens in another process, so there is nothing to find.
 *
 * @param port returns the server's port. RivetKit changes the configured port if it is taken.
 */
export function findHttpServer(port: () => number, events: HttpServerEvents): void {
  const onListening = (message: unknown) => {
    const { server } = message as { server: unknown };
    if (!(server instanceof Server) || (server.address() as AddressInfo | null)?.port !== port()) return;
    stop();
    events.onServer(server);
  };
  const onFailed = (message: unknown) => {
    const { server, error } = message as { server: unknown; error: Error & { port?: number } };
    // RivetKit probes for a free port with plain net servers, whose failures do not count.
    if (!(server instanceof Server) || error.port !== port()) return;
    events.onError(error);
  };
  const stop = () => {
    diagnostics.unsubscribe(LISTENING, onListening);
    diagnostics.unsubscribe(FAILED, onFailed);
  };
  diagnostics.subscribe(LISTENING, onListening);
  diagnostics.subscribe(FAILED, onFailed);
}
