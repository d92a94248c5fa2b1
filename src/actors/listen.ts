import diagnostics from "node:diagnostics_channel";
import { once } from "node:events";
import { Server } from "node:http";
import net, { type AddressInfo } from "node:net";
import type { Registry, RegistryActors } from "rivetkit";
import { AgentVmError } from "../api/errors.ts";
import { cutConnections } from "./backlog.ts";
import { holdDataFolder } from "./data-lock.ts";
import { makeFolder } from "./folder.ts";
import { bracketed, settingsOf } from "./setup.ts";

/** A server that listens. */
export interface RunningServer {
  host: string;
  port: number;
  /** What clients take as their endpoint, e.g. `"http://127.0.0.1:6420"`. */
  endpoint: string;
  /** Stops listening and cuts every connection. Actors stay as they are; see disposeAll. */
  close(): Promise<void>;
}

/**
 * Starts a registry and waits until it listens. Unlike `registry.start()`, which moves on to the next free port, it
 * fails where its port is taken.
 *
 * @throws AgentVmError `port_in_use`, `data_in_use`, or `listen_failed` with the system's reason.
 */
export async function listen<Actors extends RegistryActors>(
  registry: Registry<Actors>,
): Promise<RunningServer> {
  const { host, port, inProcess, dataDir } = settingsOf(registry);
  if (!inProcess) {
    throw new AgentVmError("listen_failed", "This registry runs behind a Rivet Engine: use registry.start()");
  }
  await probe(host, port);
  // RivetKit's driver would find it taken only within start(), where nobody hears of it.
  if (dataDir !== undefined) {
    makeFolder(dataDir);
    holdDataFolder(dataDir);
  }
  // Complains about RivetKit options here and not, unheard, within start().
  registry.parseConfig();
  const server = await startedServer(registry);
  const close = async () => {
    server.close();
    cutConnections(port);
    if (server.listening) await once(server, "close");
  };
  if ((server.address() as AddressInfo).port !== port) {
    await close();
    throw portInUse(host, port);
  }
  return { host, port, endpoint: `http://${bracketed(host)}:${port}`, close };
}

/** Fails with the system's reason where the address cannot be had: RivetKit would silently take another port. */
async function probe(host: string, port: number): Promise<void> {
  const server = net.createServer();
  try {
    server.listen({ host, port, exclusive: true });
    await once(server, "listening");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EADDRINUSE") throw portInUse(host, port);
    throw new AgentVmError("listen_failed", `Cannot listen on ${host}:${port}: ${(error as Error).message}`, {
      code,
    });
  }
  server.close();
  await once(server, "close");
}

/** RivetKit keeps its HTTP server to itself; Node tells of every one that begins to listen. */
async function startedServer(registry: { start(): void }): Promise<Server> {
  const channel = diagnostics.tracingChannel("net.server.listen");
  const { promise, resolve, reject } = Promise.withResolvers<Server>();
  // RivetKit looks for a free port with plain net servers first.
  const subscribers = {
    asyncEnd(message: object) {
      const { server } = message as { server: unknown };
      if (server instanceof Server) resolve(server);
    },
    error(message: object) {
      const { server, error } = message as { server: unknown; error: Error };
      if (server instanceof Server) reject(new AgentVmError("listen_failed", error.message));
    },
  };
  channel.subscribe(subscribers as Parameters<typeof channel.subscribe>[0]);
  try {
    registry.start();
    return await promise;
  } finally {
    channel.unsubscribe(subscribers as Parameters<typeof channel.unsubscribe>[0]);
  }
}

function portInUse(host: string, port: number): AgentVmError {
  return new AgentVmError(
    "port_in_use",
    `Port ${port} is in use on ${host} or on another address of this machine`,
    {
      host,
      port,
    },
  );
}
