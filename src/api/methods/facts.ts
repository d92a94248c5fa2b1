import type { VmMethodName } from "./table.ts";

/*
 * Facts of the method table that the client acts on. The table itself has the schemas of the arguments, which would double
 * the size of a client in a browser. test/api/facts.test.ts compares both.
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
  "commitTarWrite",
] satisfies VmMethodName[]);

/** Methods of which `null` is a result. */
export const NULLABLE_METHODS: ReadonlySet<string> = new Set(["getModes"] satisfies VmMethodName[]);

/** Methods that take `CallOptions`, each with the number of arguments before them. */
export const SIGNAL_METHODS: ReadonlyMap<string, number> = new Map([
  ["exec", 2],
  ["execArgv", 3],
  ["waitProcess", 1],
  ["waitShell", 1],
  ["fork", 2],
  ["vmFetch", 3],
  ["waitForPort", 2],
  ["sendPrompt", 2],
  ["prompt", 2],
  ["followProcess", 2],
] satisfies [VmMethodName, number][]);
