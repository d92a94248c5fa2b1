/**
 * Everything that the server takes from RivetKit. In the package this module contains RivetKit itself: scripts/build.ts
 * bundles it, because RivetKit's own package depends on more than a gigabyte that nothing here uses.
 */

import { Runner } from "@rivetkit/engine-runner";
import type { ContactedRunner } from "./engine-contact.ts";
import type { DrainedRunner } from "./runner-drain.ts";
import type { AnnouncedRunner } from "./runner-metadata.ts";
import type { StorageRequests } from "./runner-repairs.ts";
import type { ActorStorage } from "./start-reads.ts";

export {
  type ActionContext,
  type ActorDefinition,
  actor,
  createClientWithDriver,
  createEngineDriver,
  createFileSystemDriver,
  createMemoryDriver,
  event,
  noopNext,
  queue,
  type Registry,
  type RegistryActors,
  type RegistryConfigInput,
  RegistryConfigSchema,
  setup,
  UserError,
} from "rivetkit";

/** Prototype of RivetKit's connections to an engine. Their own type would need the declarations of `ws`. */
export const RUNNER_PROTOTYPE: StorageRequests &
  ActorStorage &
  AnnouncedRunner &
  ContactedRunner &
  DrainedRunner = Runner.prototype;
