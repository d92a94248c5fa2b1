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

/** Settings by configuration, because a lazy registry and the registry that it makes share their configuration. */
const settings = new WeakMap<object, RegistryDeps>();

export function keepSettings({ config }: { config: object }, known: RegistryDeps): void {
  settings.set(config, known);
}

/** @throws Error if the registry was not made by agent-vm's `setup()`. */
export function settingsOf({ config }: { config: object }): RegistryDeps {
  const known = settings.get(config);
  if (!known)
    throw new Error("The registry is not from agent-vm's setup(). Pass the registry that setup() returned.");
  return known;
}
