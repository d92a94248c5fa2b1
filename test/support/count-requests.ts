import { Runner } from "@rivetkit/engine-runner";

/**
 * Makes a server say on stderr each request to the storage of its actors behind an engine. Tests import it into the server:
 * `NODE_OPTIONS=--import=.../count-requests.ts`.
 */
const METHODS = ["kvGet", "kvListPrefix", "kvListRange", "kvPut", "kvDelete", "kvDeleteRange"] as const;
const prototype = Runner.prototype as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;

for (const name of METHODS) {
  const request = prototype[name] as (...args: unknown[]) => Promise<unknown>;
  prototype[name] = function say(this: unknown, ...args: unknown[]) {
    process.stderr.write(`storage request ${name}\n`);
    return request.apply(this, args);
  };
}
