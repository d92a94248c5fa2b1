import { once } from "node:events";
import type { Server } from "node:http";
import net, { type AddressInfo } from "node:net";
import { AgentVmError } from "../api/errors.ts";
import { makeFolder } from "../base/private-folder.ts";
import { cutConnections } from "../rivet/client-backlog.ts";
import { openDataFolder } from "../rivet/data-format.ts";
import type { Registry, RegistryActors } from "../rivet/registry.ts";
import { listenOn, portInUse } from "./listen-on.ts";
import { bracketed } from "./server-options.ts";
import { settingsOf } from "./server-settings.ts";

/** A server that listens. `await using` closes it at the end of the block. */
export interface RunningServer extends AsyncDisposable {
  /** Address that the server listens on, e.g. `"127.0.0.1"`. */
  host: string;
  /** Port that the server listens on. */
  port: number;
  /** Endpoint for clients, e.g. `"http://127.0.0.1:6420"`. */
  endpoint: string;
  /**
   * Stops listening and cuts every connection. A repeated call waits for the first. The server's actors keep running:
   * see `disposeAll`.
   */
  close(): Promise<void>;
}

/**
 * Starts a registry and waits until it listens. Unlike `registry.start()`, which moves on to the next free port,
 * `listen` fails if the port is taken.
 *
 * @throws AgentVmError `port_in_use`, `data_in_use`, or `listen_failed` with the system's reason.
 * @example
 * ```ts
 * await using server = await listen(setup({ use: { vm: vmActor() } }));
 * const client = createClient<typeof registry>({ endpoint: server.endpoint });
 * ```
 */
export async function listen<Actors extends RegistryActors>(
  registry: Registry<Actors>,
): Promise<RunningServer> {
  const { host, port, listening, dataDir, load } = settingsOf(registry);
  if (listening === undefined) {
    throw new AgentVmError(
      "listen_failed",
      "This registry runs behind a Rivet Engine. Use registry.start().",
    );
  }
  // RivetKit does not report why it fails to start. Users can fix two causes: a taken port and a taken data folder.
  await probe(host, port);
  if (dataDir !== undefined) {
    makeFolder(dataDir);
    openDataFolder(dataDir);
  }
  await load?.();
  registry.parseConfig();
  registry.start();
  const server = await listening.catch((error: Error) => {
    throw error instanceof AgentVmError ? error : new AgentVmError("listen_failed", error.message);
  });
  if (!server.listening) {
    throw new AgentVmError(
      "listen_failed",
      "This registry has listened before, and RivetKit cannot start it again. Make another registry with setup().",
    );
  }
  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= end(server);
    return closed;
  };
  if ((server.address() as AddressInfo).port !== port) {
    await close();
    throw portInUse(host, port);
  }
  return { host, port, endpoint: `http://${bracketed(host)}:${port}`, close, [Symbol.asyncDispose]: close };
}

async function end(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, "close");
  server.close();
  cutConnections(server);
  await closed;
}

/** Fails with the system's reason if this process cannot listen on the address. RivetKit would silently take another port. */
async function probe(host: string, port: number): Promise<void> {
  const server = net.createServer();
  await listenOn(server, host, port);
  server.close();
  await once(server, "close");
}
