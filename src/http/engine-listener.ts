import { createServer, type Server } from "node:http";
import type { Registry, RegistryActors } from "../rivet/registry.ts";
import type { AccessControl } from "./access-control.ts";
import { type Admit, HttpGate, type Route } from "./http-gate.ts";
import { listenOn } from "./listen-on.ts";
import { settingsOf } from "./server-settings.ts";

/** Behind a Rivet Engine the engine answers for previews. */
const NO_PREVIEWS = { request: () => false, upgrade: () => false };

/** Answers of a server behind a Rivet Engine, apart from those of its VMs. */
export interface Operations {
  access: AccessControl;
  openRoutes: Readonly<Record<string, Route>>;
  routes: Readonly<Record<string, Route>>;
}

/**
 * Listens on the host and port of a registry behind a Rivet Engine, for supervisors and the administrator: health, metrics
 * and the order to shut down. Clients of VMs go to the engine.
 *
 * @throws AgentVmError `port_in_use`, or `listen_failed` with the system's reason
 */
export async function listenForOperations<Actors extends RegistryActors>(
  registry: Registry<Actors>,
): Promise<Server | undefined> {
  const { host, port, operations } = settingsOf(registry);
  if (operations === undefined) return undefined;
  const { access, routes, openRoutes } = operations;
  const server = createServer((_request, response) => {
    response.writeHead(404, { "content-type": "text/plain" }).end("Not Found");
  });
  const admit: Admit = (message, request) => access.admitOnce(message, { ...request, isDirect: true });
  new HttpGate(admit, NO_PREVIEWS, routes, { openRoutes }).guard(server);
  await listenOn(server, host, port);
  // The actors keep the process alive, and end it.
  return server.unref();
}
