/** The types of RivetKit that the client's types are made of. In the package this module contains them. */

export type { ActorDefinition, Registry, RegistryActors } from "rivetkit";
export type {
  ActorAccessor,
  ActorHandle,
  AnyActorDefinition,
  ExtractActorsFromRegistry,
} from "rivetkit/client";
