/**
 * VMs for workspaces of Mastra: `@mastra/core` 1.71. Loads nothing of it.
 *
 * @module
 */
export { type MastraFilesystemOptions, mastraFilesystem, VmFilesystem } from "./filesystem.ts";
export type * from "./mastra-types.ts";
export { type MastraSandboxOptions, mastraSandbox } from "./sandbox.ts";
