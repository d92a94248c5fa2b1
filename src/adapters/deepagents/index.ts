/**
 * VMs for deepagents 1. Loads nothing of it.
 *
 * @module
 */

export { type DeepAgentsOptions, deepAgentsBackend } from "./backend.ts";
export type * from "./backend-types.ts";
