import { invalidArgument } from "../api/errors.ts";
import type { VmChoices } from "../api/vm-input.ts";
import type { VmPage } from "../api/vm-list.ts";
import { unlessAborted } from "../base/within.ts";
import { HandleCore } from "./handle.ts";
import { partsOfKey } from "./key.ts";
import { resolveLocalhostNames } from "./localhost-names.ts";
import { withActions, withCalls } from "./methods.ts";
import { abortSignal, anything, aString, callback, checkOptions, type Rules } from "./options.ts";
import { OtherActor, type OtherConnection } from "./other-actor.ts";
import { type Server, serverOf } from "./rivet/config.ts";
import { coded } from "./rivet/errors.ts";
import type { HandleOptions } from "./rivet/handle.ts";
import { Handles } from "./rivet/handles.ts";
import type { RawHandle } from "./rivet/raw.ts";
import { askServer } from "./server-request.ts";
import { Target } from "./target.ts";
import { tokensOf } from "./tokens.ts";
import type {
  AnyRegistry,
  ClientOptions,
  CreateVmOptions,
  GetOrCreateVmOptions,
  VmAccessor,
  VmClient,
  VmHandle,
} from "./types.ts";
import { checkJson } from "./wire.ts";

/**
 * Creates a typed client of a server. It speaks RivetKit's protocol and has calls of any length, files of any size
 * and terminals. A long call survives a lost connection without running twice. Every error is an AgentVmError.
 *
 * @param options URL of the server, or `{ endpoint, token, ... }`. @default RIVET_ENDPOINT, else "http://localhost:6420"
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
  const { vms, ...config } = checked(options);
  const isVm = (name: string) => vms === undefined || vms.includes(name);
  const server = serverOf(config);
  resolveLocalhostNames();
  const targets = new Targets();
  const others = new Set<OtherConnection>();
  const accessors = new Map<string, object>([["tokens", tokensOf(server)]]);
  const dispose = async () => {
    await targets.dispose();
    await Promise.all([...others].map((connection) => connection.dispose()));
  };
  return new Proxy(Object.create(null), {
    get(_target, name) {
      if (name === "dispose" || name === Symbol.asyncDispose) return dispose;
      // `await` looks for `then`: a client is not a promise.
      if (typeof name === "symbol" || name === "then") return undefined;
      let accessor = accessors.get(name);
      if (!accessor) {
        accessor = isVm(name) ? accessorOf(server, name, targets) : otherAccessorOf(server, name, others);
        accessors.set(name, accessor);
      }
      return accessor;
    },
  }) as VmClient<R>;
}

const HANDLE_OPTIONS: Rules<HandleOptions> = { params: anything, getParams: callback };
const GET_OR_CREATE_OPTIONS: Rules<GetOrCreateVmOptions> = {
  createWithInput: anything,
  createInRegion: aString,
  ...HANDLE_OPTIONS,
};
const CREATE_OPTIONS: Rules<CreateVmOptions> = {
  input: anything,
  region: aString,
  signal: abortSignal,
  ...HANDLE_OPTIONS,
};
/** `serverOf` checks the values of the options that lead to the server. */
const CLIENT_OPTIONS: Rules<ClientOptions> = {
  endpoint: anything,
  token: anything,
  namespace: anything,
  runnerName: anything,
  encoding: anything,
  headers: anything,
  // Of RivetKit's client, for code that was written for it.
  getUpgradeWebSocket: anything,
  disableMetadataLookup: anything,
  devtools: anything,
  vms: [
    (value) => Array.isArray(value) && value.every((name) => typeof name === "string"),
    "an array of strings",
  ],
};

function checked(options: string | ClientOptions): ClientOptions {
  if (typeof options === "string") return { endpoint: options };
  if (typeof options !== "object" || options === null || Array.isArray(options))
    throw invalidArgument("options", "a URL or an object", options);
  checkOptions("createClient", options, CLIENT_OPTIONS);
  return options;
}

/** Makes the handles of an actor that is not a VM. */
function otherAccessorOf(server: Server, name: string, open: Set<OtherConnection>): object {
  type Arguments<Method extends keyof Handles> = Parameters<Handles[Method]>;
  const handles = new Handles(server, name);
  const handle = (raw: RawHandle) =>
    withCalls([new OtherActor(raw, open)], (action, args) => raw.action({ name: action, args }));
  return {
    getOrCreate: (...given: Arguments<"getOrCreate">) => handle(handles.getOrCreate(...given)),
    get: (...given: Arguments<"get">) => handle(handles.get(...given)),
    getForId: (...given: Arguments<"getForId">) => handle(handles.getForId(...given)),
    create: async (...given: Arguments<"create">) => handle(await handles.create(...given)),
  };
}

function accessorOf(server: Server, name: string, targets: Targets): VmAccessor {
  const handles = new Handles(server, name);
  const handle = (id: string | undefined, make: () => RawHandle): VmHandle =>
    withActions(new HandleCore(targets.get(id, make))) as VmHandle;
  /** Handles of one key and one input share a connection. A handle with other options has its own. */
  const idOf = (kind: string, key: unknown, options?: object) => {
    const { createWithInput, ...others } = (options ?? {}) as GetOrCreateVmOptions;
    return Object.keys(others).length === 0 ? JSON.stringify([name, kind, key, createWithInput]) : undefined;
  };
  return {
    getOrCreate(key, options) {
      const parts = partsOfKey(key);
      checkOptions("getOrCreate", options, GET_OR_CREATE_OPTIONS);
      checkJson("getOrCreate", [parts, { createWithInput: options?.createWithInput }]);
      return handle(idOf("key", parts, options), () => handles.getOrCreate(parts, options ?? {}));
    },
    get(key, options) {
      const parts = partsOfKey(key);
      checkOptions("get", options, HANDLE_OPTIONS);
      return handle(idOf("existing", parts, options), () => handles.get(parts, options ?? {}));
    },
    getForId(id, options) {
      checkOptions("getForId", options, HANDLE_OPTIONS);
      return handle(idOf("id", id, options), () => handles.getForId(id, options ?? {}));
    },
    async create(key, options) {
      const parts = partsOfKey(key);
      checkOptions("create", options, CREATE_OPTIONS);
      checkJson("create", [parts, { input: options?.input }]);
      const { signal, ...others } = options ?? {};
      signal?.throwIfAborted();
      const creation = coded(handles.create(parts, others));
      const raw = await (signal ? unlessAborted(creation, signal) : creation);
      return handle(undefined, () => raw);
    },
    options: async () =>
      (await askServer(server, { method: "GET", path: "vms/options", query: { name } })) as VmChoices,
    list: async (options = {}) => {
      checkJson("list", [options]);
      const query = { name, options: JSON.stringify(options) };
      return (await askServer(server, { method: "GET", path: "vms", query })) as VmPage;
    },
  };
}

/** Actors in use, by key or id. Handles of one key share a target. */
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
