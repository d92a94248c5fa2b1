import { invalidArgument } from "../../api/errors.ts";
import type { Server } from "./config.ts";
import { type HandleOptions, RivetHandle } from "./handle.ts";
import { makeActor } from "./http.ts";

/** Key of an actor. A string is a key of one part. */
type Key = string | string[];

/** Options of a handle that may make its actor. */
interface GetOrCreateOptions extends HandleOptions {
  createWithInput?: unknown;
  createInRegion?: string;
}

/** Options of a new actor. */
interface CreateOptions extends HandleOptions {
  input?: unknown;
  region?: string;
}

/** Makes the handles of one actor name. */
export class Handles {
  readonly #server: Server;
  readonly #name: string;

  constructor(server: Server, name: string) {
    this.#server = server;
    this.#name = name;
  }

  getOrCreate(key?: Key, options: GetOrCreateOptions = {}): RivetHandle {
    const { createWithInput: input, createInRegion: region } = options;
    const query = { name: this.#name, key: partsOf(key), input, region, mayMake: true };
    return new RivetHandle(this.#server, query, options);
  }

  get(key?: Key, options?: HandleOptions): RivetHandle {
    return new RivetHandle(this.#server, { name: this.#name, key: partsOf(key), mayMake: false }, options);
  }

  getForId(actorId: string, options?: HandleOptions): RivetHandle {
    if (typeof actorId !== "string" || actorId === "")
      throw invalidArgument("actorId", "a non-empty string", actorId);
    return new RivetHandle(this.#server, { name: this.#name, actorId }, options);
  }

  /** Makes an actor now. */
  async create(key?: Key, options: CreateOptions = {}): Promise<RivetHandle> {
    const { input, region } = options;
    const actor = { name: this.#name, key: partsOf(key), input, region };
    return this.getForId(await makeActor(this.#server, "POST", actor), options);
  }
}

/** Returns the parts of a key. @throws AgentVmError `invalid_argument` for a key of another type */
function partsOf(key: Key = []): string[] {
  const parts: unknown = typeof key === "string" ? [key] : key;
  if (!Array.isArray(parts) || !parts.every((part) => typeof part === "string"))
    throw invalidArgument("key", "a string, or an array of strings", key);
  return parts;
}
