import { z } from "zod";
import { AgentVmError, invalidArgument, limitExceeded } from "../../api/errors.ts";
import {
  type ServiceInfo,
  type ServiceLogs,
  type ServiceLogsOptions,
  type ServiceMethods,
  type ServiceOptions,
  type StopServiceOptions,
  service as serviceSchema,
} from "../../api/methods/services.ts";
import { asCaller } from "../../base/caller.ts";
import { deferred } from "../../base/deferred.ts";
import { loadOnce } from "../../base/load-once.ts";
import { Mutex } from "../../base/mutex.ts";
import { unlessAborted, within } from "../../base/within.ts";
import { resolveCommand } from "../processes/command.ts";
import type { ReplayBudget } from "../processes/replay-buffer.ts";
import type { Room } from "../room.ts";
import { capabilityOf, requireCapability, type Sandbox } from "../sandbox/sandbox.ts";
import { SERVICES_KEY } from "../store/keys.ts";
import { encodeJson, tryDecodeJson } from "../store/store.ts";
import type { VmServices } from "../vm-services.ts";
import { MAX_SERVICE_WAITERS, MAX_SERVICES, MAX_SERVICES_BYTES, SERVICE_REQUEST_MS } from "./limits.ts";
import { unmetNeed } from "./order.ts";
import { Service } from "./service.ts";

interface ServicesDeps
  extends Pick<
    VmServices,
    | "sandbox"
    | "store"
    | "runtime"
    | "emit"
    | "env"
    | "cwd"
    | "whileRunning"
    | "trackRunning"
    | "filesMayChange"
    | "filesMayHaveChanged"
    | "onFailure"
  > {
  /** Services of the option `services`. */
  services: readonly ServiceOptions[];
  /** Resolves when a port listens. */
  listens(port: number, timeoutMs: number, signal: AbortSignal): Promise<void>;
  /** Output that the VM keeps. */
  kept: ReplayBudget;
}

const recordSchema = z.object({
  /** Services that `startService` has defined. */
  defined: z.array(z.unknown()),
  /** Names of services that were stopped. */
  stopped: z.array(z.string()),
});

interface ServicesRecord {
  defined: ServiceOptions[];
  stopped: string[];
}

const OVER = ["exited", "failed", "stopped"];

/** The services of one VM. They start with each boot, in the order of their needs. */
export class Services implements ServiceMethods, Room {
  readonly #deps: ServicesDeps;
  readonly #table = new Map<string, Service>();
  readonly #defined = new Map<string, ServiceOptions>();
  readonly #changes = new Mutex();
  readonly #load = loadOnce(() => this.#loadRecord());
  readonly #listeners = new Set<() => void>();
  #sandbox: Sandbox | undefined;

  constructor(deps: ServicesDeps) {
    this.#deps = deps;
  }

  up(sandbox: Sandbox): void {
    if (sandbox.processes === undefined) return;
    this.#sandbox = sandbox;
    // No client's call is the reason of these programs.
    asCaller({}, () => {
      this.#load().then(() => this.#startWaiting(), this.#deps.onFailure);
    });
  }

  down(): void {
    this.#sandbox = undefined;
    for (const service of this.#table.values()) service.down();
  }

  stop(): void {
    this.down();
  }

  async startService(given: ServiceOptions | string): Promise<ServiceInfo> {
    requireCapability(this.#deps.runtime, "processes", "startService");
    await this.#load();
    await this.#deps.sandbox();
    return await this.#changes.run(async () => {
      const service = typeof given === "string" ? this.#find(given) : await this.#define(given);
      await this.#store(this.#record(service.definition, { isStopped: false }));
      if (OVER.includes(service.state)) service.reset();
      await asCaller({}, () => this.#startWaiting());
      return service.info;
    });
  }

  async stopService(name: string, { remove = false }: StopServiceOptions = {}): Promise<void> {
    await this.#load();
    await this.#changes.run(async () => {
      const service = this.#find(name);
      if (remove && this.#deps.services.some((option) => option.name === name))
        throw invalidArgument("remove", "false for a service of the option `services`", remove);
      const rest = [...this.#table.values()].map(({ definition }) => definition);
      const unmet = remove ? unmetNeed(rest.filter((other) => other.name !== name)) : undefined;
      if (unmet !== undefined) throw new AgentVmError("invalid_argument", `Cannot remove ${name}: ${unmet}`);
      await this.#store(
        remove ? this.#recordWithout(name) : this.#record(service.definition, { isStopped: true }),
      );
      await service.stop();
      if (remove) {
        service.forget();
        this.#table.delete(name);
        this.#defined.delete(name);
      }
    });
  }

  async listServices(): Promise<ServiceInfo[]> {
    await this.#load();
    return [...this.#table.values()].map(({ info }) => info);
  }

  async serviceLogs(name: string, { after = -1 }: ServiceLogsOptions = {}): Promise<ServiceLogs> {
    await this.#load();
    return this.#find(name).logs(after);
  }

  /**
   * Waits for a service at a port that is about to start.
   *
   * @returns `true` if the service is ready now; `false` if no service of this port is coming
   */
  async comes(port: number, signal: AbortSignal | undefined): Promise<boolean> {
    await this.#load();
    const service = this.#at(port);
    const isReady = () => service?.state === "ready";
    if (service === undefined || isReady() || this.#listeners.size >= MAX_SERVICE_WAITERS) return false;
    await this.#until(() => isReady() || OVER.includes(service.state), signal);
    return isReady();
  }

  /** Describes the service of a port for an error; `undefined` if no service has the port. */
  noteOf(port: number): string | undefined {
    const service = this.#at(port);
    if (service === undefined) return undefined;
    const { name, state, exitCode } = service.info;
    const end = exitCode === null ? "" : ` after exit code ${exitCode}`;
    return `The service ${name} of this port is in state ${state}${end}; serviceLogs("${name}") has its output`;
  }

  #at(port: number): Service | undefined {
    return [...this.#table.values()].find(({ definition }) => definition.port === port);
  }

  #find(name: string): Service {
    const service = this.#table.get(name);
    if (service !== undefined) return service;
    throw new AgentVmError("service_not_found", `Service not found: ${name}`, { name });
  }

  async #define(definition: ServiceOptions): Promise<Service> {
    const { name } = definition;
    const old = this.#table.get(name);
    if (old !== undefined && JSON.stringify(old.definition) === JSON.stringify(definition)) return old;
    if (old === undefined && this.#table.size >= MAX_SERVICES)
      throw limitExceeded({ MAX_SERVICES }, "Service limit of the VM reached", "Remove one first.");
    const others = [...this.#table.values()].filter((other) => other !== old);
    const unmet = unmetNeed([...others.map((other) => other.definition), definition]);
    if (unmet !== undefined) throw new AgentVmError("invalid_argument", `Invalid service ${name}: ${unmet}`);
    // A definition that cannot be stored changes nothing.
    const record = this.#recordWithout(name);
    await this.#store({ ...record, defined: [...record.defined, definition] });
    await old?.stop();
    old?.forget();
    const service = this.#make(definition, { isStopped: false });
    this.#defined.set(name, definition);
    this.#table.set(name, service);
    return service;
  }

  #make(definition: ServiceOptions, { isStopped }: { isStopped: boolean }): Service {
    const deps = this.#deps;
    return new Service(
      definition,
      {
        async spawn({ command, args = [], env, cwd }) {
          const { spawn } = capabilityOf(await deps.sandbox(), "processes", "startService");
          const request = await resolveCommand(
            { command, args },
            { ...(env && { env }), ...(cwd && { cwd }) },
            deps,
          );
          return await spawn({ ...request, stdin: false });
        },
        kept: deps.kept,
        listens: (port, timeoutMs, signal) => deps.listens(port, timeoutMs, signal),
        running: ({ keepAwake = false }, ended) =>
          keepAwake ? deps.whileRunning(ended) : deps.trackRunning(ended),
        changed: ({ info }) => this.#changed(info),
        // A checkpoint keeps the VM awake, which a service does only if it says so.
        wrote: () => (definition.keepAwake ? deps.filesMayHaveChanged() : deps.filesMayChange()),
      },
      isStopped,
    );
  }

  #changed({ name, state, pid, restarts, exitCode, error }: ServiceInfo): void {
    this.#deps.emit("serviceChanged", { name, state, pid, restarts, exitCode, error });
    for (const listener of [...this.#listeners]) listener();
    if (state === "ready") void this.#startWaiting();
  }

  /** Starts the services whose needs are met. Never rejects. */
  async #startWaiting(): Promise<void> {
    if (this.#sandbox === undefined) return;
    const isReady = (name: string) => this.#table.get(name)?.state === "ready";
    const startable = [...this.#table.values()].filter(
      ({ state, definition }) => state === "waiting" && (definition.needs ?? []).every(isReady),
    );
    await Promise.all(startable.map((service) => service.start()));
  }

  /** Waits until a state is so, for SERVICE_REQUEST_MS at most. @throws the signal's reason */
  async #until(isSo: () => boolean, signal: AbortSignal | undefined): Promise<void> {
    if (isSo()) return;
    const { promise, resolve } = deferred<void>();
    const look = () => {
      if (isSo()) resolve();
    };
    this.#listeners.add(look);
    try {
      const waited = within(promise, SERVICE_REQUEST_MS);
      await (signal === undefined ? waited : unlessAborted(waited, signal));
    } finally {
      this.#listeners.delete(look);
    }
  }

  async #loadRecord(): Promise<void> {
    const [bytes] = await this.#deps.store.get([SERVICES_KEY]);
    const { data } = recordSchema.safeParse(bytes && tryDecodeJson(bytes));
    const { defined = [], stopped = [] } = data ?? {};
    // An entry that is not valid any more must not take the others with it.
    const kept = defined.flatMap((entry) => serviceSchema.safeParse(entry).data ?? []);
    for (const definition of [...this.#deps.services, ...kept])
      this.#table.set(
        definition.name,
        this.#make(definition, { isStopped: stopped.includes(definition.name) }),
      );
    for (const definition of kept) this.#defined.set(definition.name, definition);
  }

  #recordWithout(name: string): ServicesRecord {
    const isOther = (other: ServiceOptions) => other.name !== name;
    const stopped = [...this.#table.values()].filter(({ state }) => state === "stopped");
    return {
      defined: [...this.#defined.values()].filter(isOther),
      stopped: stopped.map(({ definition }) => definition.name).filter((other) => other !== name),
    };
  }

  /** Returns the record with a service stopped, or not. */
  #record({ name }: ServiceOptions, { isStopped }: { isStopped: boolean }): ServicesRecord {
    const { stopped } = this.#recordWithout(name);
    return { defined: [...this.#defined.values()], stopped: isStopped ? [...stopped, name] : stopped };
  }

  async #store(record: ServicesRecord): Promise<void> {
    const value = encodeJson(record);
    if (value.byteLength > MAX_SERVICES_BYTES)
      throw limitExceeded(
        { MAX_SERVICES_BYTES },
        "The services of the VM are too large",
        "Shorten their arguments and variables, or remove one first.",
      );
    await this.#deps.store.put([[SERVICES_KEY, value]]);
  }
}
