/**
 * VMs for ComputeSDK: `@computesdk/provider` 2 and `computesdk` 4. Loads none of them.
 *
 * @module
 */
export { type ComputeProviderOptions, computeProvider } from "./provider.ts";
export type * from "./provider-types.ts";
