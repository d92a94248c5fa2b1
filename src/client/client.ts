import { type ClientRaw, createClient as createRivetClient } from "rivetkit/client";
import { toAgentVmError } from "./errors.ts";
import { HandleCore } from "./handle.ts";
import { withActions } from "./methods.ts";
import { quietly } from "./quiet.ts";
import type { RawHandle } from "./raw.ts";
import { Target } from "./target.ts";
import type { AnyRegistry, ClientOptions, VmAccessor, VmClient, VmHandle } from "./types.ts";

/**
 * A client of a server: RivetKit's typed client, and what it cannot do by itself. Calls that take long survive a lost
 * connection without running twice, files of any size go through, terminals work, and every error is an AgentVmError.
 *
 * @param options an address, or `{ endpoint, token, ... }`.
 * @example
 * ```ts
 * import { createClient } from "agent-vm/client";
 * import type { registry } from "./server";
 *
 * const client = createClient<typeof registry>({ endpoint: "http://localhost:6420" });
 * const { stdout } = await client.vm.getOrCreate("my-agent").exec("echo hello");
 * ```
 */
export function createClient<R extends AnyRegistry>(options: string | ClientOptions = {}): VmClient<R> {
  const config = typeof options === "string" ? { endpoint: options } : options;
  // The endpoint is the one that was given: a server does not know by which address its clients reach it.
  const rivet = quietly(() => {
    const client = createRivetClient<R>({ ...config, disableMetadataLookup: true, devtools: false });
    // The first use of its logger; sends nothing.
    client.get("");
    return client;
  });
  const targets = new Targets();
  const accessors = new Map<string, VmAccessor>();
  const dispose = async () => {
    await targets.dispose();
    await rivet.dispose();
  };
  return new Proxy(Object.create(null), {
    get(_target, name) {
      if (name === "dispose") return dispose;
      // A client is no promise: `await` looks for this.
      if (typeof name === "symbol" || name === "then") return undefined;
      let accessor = accessors.get(name);
      if (!accessor) {
        accessor = accessorOf(rivet, name, targets);
        accessors.set(name, accessor);
      }
      return accessor;
    },
  }) as VmClient<R>;
}

function accessorOf(rivet: ClientRaw, name: string, targets: Targets): VmAccessor {
  const handle = (id: string | undefined, make: () => unknown): VmHandle =>
    withActions(new HandleCore(targets.get(id, () => make() as RawHandle))) as VmHandle;
  /** Handles with options of their own share with no other. */
  const idOf = (kind: string, key: unknown, options: unknown) =>
    options === undefined ? JSON.stringify([name, kind, key]) : undefined;
  return {
    getOrCreate: (key, options) =>
      handle(idOf("key", key, options), () => rivet.getOrCreate(name, key, options)),
    get: (key, options) => handle(idOf("existing", key, options), () => rivet.get(name, key, options)),
    getForId: (id, options) => handle(idOf("id", id, options), () => rivet.getForId(name, id, options)),
    async create(key, options) {
      try {
        const raw = await rivet.create(name, key, options);
        return handle(undefined, () => raw);
      } catch (error) {
        throw toAgentVmError(error);
      }
    },
  };
}

/** The actors in use; handles of the same key find the same one. */
class Targets {
  readonly #byId = new Map<string, WeakRef<Target>>();
  readonly #all = new Set<WeakRef<Target>>();
  readonly #gone = new FinalizationRegistry<{ id: string | undefined; ref: WeakRef<Target> }>(
    ({ id, ref }) => {
      this.#all.delete(ref);
      if (id !== undefined && this.#byId.get(id) === ref) this.#byId.delete(id);
    },
  );

  get(id: string | undefined, make: () => RawHandle): Target {
    const known = id === undefined ? undefined : this.#byId.get(id)?.deref();
    if (known) return known;
    const target = new Target(make());
    const ref = new WeakRef(target);
    this.#all.add(ref);
    if (id !== undefined) this.#byId.set(id, ref);
    this.#gone.register(target, { id, ref });
    return target;
  }

  async dispose(): Promise<void> {
    await Promise.all([...this.#all].map((ref) => ref.deref()?.dispose()));
  }
}
