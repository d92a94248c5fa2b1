import type { Server } from "node:http";
import { findHttpServer } from "./http-server.ts";
import type { createFileSystemDriver } from "./rivetkit.ts";

/** The driver of RivetKit 2.2: the storage of actors, and the manager that routes requests to them. */
export type Driver = ReturnType<typeof createFileSystemDriver>;

export type Manager = ReturnType<Driver["manager"]>;

/** The actors of a server, for requests that bypass RivetKit's routes. */
export interface Actors {
  /** @returns the name of the actor's definition in `use`; `undefined` if there is no such actor. */
  nameOf(actorId: string): string | undefined;
  /** Wakes an actor and hands a request to its `onRequest`. */
  send(actorId: string, request: Request): Promise<Response>;
}

export interface DriverEvents {
  /** Receives the HTTP server before it accepts a connection. */
  onServer(server: Server, actors: Actors): void;
  /** Receives the reason why RivetKit did not start. */
  onError(error: Error): void;
}

interface DriverParts extends Pick<Driver, "actor"> {
  /** Whether this server runs actors. */
  hasActors: boolean;
  /** Makes the manager. */
  manage(config: Parameters<Driver["manager"]>[0]): { manager: Manager; nameOf: Actors["nameOf"] };
}

/** Makes a driver of RivetKit that finds the HTTP server. */
export function makeDriver({ hasActors, actor, manage }: DriverParts, events: DriverEvents): Driver {
  return {
    name: "agent-vm",
    displayName: "agent-vm",
    autoStartActorDriver: hasActors,
    actor,
    manager(config) {
      try {
        const { manager, nameOf } = manage(config);
        const actors: Actors = {
          nameOf,
          send: (actorId, request) => manager.sendRequest(actorId, request),
        };
        const onServer = (server: Server) => events.onServer(server, actors);
        findHttpServer(() => config.managerPort, { onServer, onError: (error) => events.onError(error) });
        return manager;
      } catch (error) {
        // RivetKit does not report why it fails to start.
        events.onError(error as Error);
        throw error;
      }
    },
  };
}
