/**
 * VMs for deepagents 1. Loads nothing of it.
 *
 * @module
 */
export type * from "./backend-types.ts";
export { type DeepAgentsOptions, deepAgentsBackend } from "./backend.ts";
