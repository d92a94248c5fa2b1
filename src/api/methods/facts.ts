// Written by `npm run docs` from the method table. Do not edit.

/*
 * Facts of the method table that the client acts on. The client must not load the table: the table has the schemas of the
 * arguments, and zod with them would double the size of a client in a browser.
 */

/** Methods that may take longer than an HTTP request lives. */
export const LONG_METHODS: ReadonlySet<string> = new Set([
  "exec",
  "execArgv",
  "waitProcess",
  "waitShell",
  "importTar",
  "fork",
  "vmFetch",
  "waitForPort",
  "createSession",
  "sendPrompt",
  "prompt",
  "restart",
  "sleep",
  "startRun",
  "followProcess",
  "commitFileWrite",
  "commitTarWrite",
]);

/** Methods of which `null` is a result. */
export const NULLABLE_METHODS: ReadonlySet<string> = new Set(["getModes"]);

/** Methods that take `CallOptions`, each with the number of arguments before them. */
export const SIGNAL_METHODS: ReadonlyMap<string, number> = new Map([
  ["exec", 2],
  ["execArgv", 3],
  ["waitProcess", 2],
  ["waitShell", 1],
  ["fork", 2],
  ["vmFetch", 3],
  ["waitForPort", 2],
  ["sendPrompt", 2],
  ["prompt", 2],
  ["followProcess", 2],
]);
