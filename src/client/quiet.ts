/**
 * Runs `make` so that RivetKit's logger, which is created with its first use, begins at level "error". At its default it
 * prints half a dozen lines to stdout whenever a connection breaks, all of which this client reports as errors and
 * status changes. RIVET_LOG_LEVEL and LOG_LEVEL still have their say, and so has a server in the same process.
 */
export function quietly<Value>(make: () => Value): Value {
  const env = globalThis.process?.env;
  if (!env || env.RIVET_LOG_LEVEL !== undefined || env.LOG_LEVEL !== undefined) return make();
  env.RIVET_LOG_LEVEL = "error";
  try {
    return make();
  } finally {
    delete env.RIVET_LOG_LEVEL;
  }
}
