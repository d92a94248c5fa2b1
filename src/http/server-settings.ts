import type { Server } from "node:http";
import type { Operations } from "./engine-listener.ts";

/** Settings of a registry made by agent-vm's `setup()`. */
interface RegistryDeps {
  host: string;
  port: number;
  /** Folder of the actors' state in this process; `undefined` for RivetKit's own folder. */
  dataDir: string | undefined;
  /** URL of the Rivet Engine that the actors run for. Nothing listens in this process then. */
  engine: string | undefined;
  /** RivetKit's HTTP server once it listens; `undefined` if RivetKit does not serve from this process. */
  listening: Promise<Server> | undefined;
  /** Loads what the first VM needs, which would hold the event loop later. Never rejects. `undefined` without an engine. */
  load: (() => Promise<void>) | undefined;
  /** Warns if the engine lets anybody read and delete the VMs. Resolves when the engine has answered. */
  checkEngine: (() => Promise<void>) | undefined;
  /** Answers of a server behind an engine about itself. */
  operations: Operations | undefined;
}

const SETTINGS = Symbol("settings of agent-vm's setup()");

/** Stores the settings in a field of the registry. A lazy registry passes reads of the field on to the registry that it makes. */
export function keepSettings(registry: object, known: RegistryDeps): void {
  Object.defineProperty(registry, SETTINGS, { value: known });
}

/** @throws Error if the registry was not made by agent-vm's `setup()`. */
export function settingsOf(registry: object): RegistryDeps {
  const known = (registry as { [SETTINGS]?: RegistryDeps } | undefined)?.[SETTINGS];
  if (!known)
    throw new Error("The registry is not from agent-vm's setup(). Pass the registry that setup() returned.");
  return known;
}
