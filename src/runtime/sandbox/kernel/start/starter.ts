import { syscallNumbers } from "./arch.ts";
import type { CommandStarter, Entry } from "./command.ts";
import { LauncherStarter } from "./launcher-starter.ts";
import { SpawnerStarter } from "./spawner-starter.ts";

/** How commands get into a VM: `"spawner"` wherever there is a perl, `"launcher"` elsewhere. */
export type StarterKind = "spawner" | "launcher";

/** The best way of starting commands that the host allows, or the one asked for. */
export function createStarter(entry: Entry, wanted?: StarterKind): CommandStarter {
  const numbers = syscallNumbers();
  const { perl } = entry.tools;
  if (wanted === "launcher" || numbers === undefined || perl === undefined) return new LauncherStarter(entry);
  return new SpawnerStarter(entry, numbers, perl);
}
