/** Limits of the API and the wire. `npm run docs` writes docs/limits.md from their comments. */

export * from "./limits/cron.ts";
export * from "./limits/files.ts";
export * from "./limits/machine.ts";
export * from "./limits/network.ts";
export * from "./limits/processes.ts";
export * from "./limits/sessions.ts";
export * from "./limits/tokens.ts";
export * from "./limits/wire.ts";
