import { randomUUID } from "node:crypto";
import type { VmChoices } from "../api/vm-input.ts";
import type { VmDirectory } from "../directory/vm-directory.ts";
import { Monitor } from "../monitoring/monitor.ts";
import type { PoolTally } from "../runtime/sandbox/pool/sandbox-pool.ts";
import { AccessControl } from "./access-control.ts";
import type { VisitedVm, VisitKind } from "./actor-visits.ts";
import type { VmName } from "./grant.ts";
import { createLogger } from "./logger.ts";
import type { LiveFacts } from "./peers/messages.ts";
import type { Places } from "./peers/places.ts";
import type { Tunnels } from "./tunnels/tunnels.ts";

/** The server of VMs, as their actors see it. */
export interface VmServer {
  readonly access: AccessControl;
  /** The VMs of the server's data folder; `undefined` until the folder is open, and behind a Rivet Engine. */
  readonly directory: VmDirectory | undefined;
  /** The server's secret, of which keys are derived; `undefined` as `directory`, unless the server was given one. */
  readonly secret: Uint8Array | undefined;
  /** The tunnels of the server's clients. */
  readonly tunnels: Tunnels | undefined;
  readonly monitor: Monitor;
  /** The servers behind a Rivet Engine; `undefined` if this one does not know the others. */
  readonly places: Places | undefined;
  /** Whether the server takes and gives bytes of a VM as HTTP bodies, as it does unless a Rivet Engine alone reaches it. */
  readonly takesBodies: boolean;
}

/** The link between a `vmActor()` and the server that serves it. */
export interface VmBinding {
  /** The server that `setup()` has made. Until then a server that admits loopback only. */
  server: VmServer;
  /** Makes every awake VM run the cron jobs that are due, and set its alarm again. */
  ringAll(): void;
  /** Milliseconds of sleep after which a VM is destroyed; `undefined`: never. A VM may have a time of its own. */
  destroyAfterMs: number | undefined;
  /** Options that the creator of a VM may choose. */
  choices: VmChoices;
  /**
   * Checks the input of a VM that may be made.
   *
   * @param sender `isOwn`: whether another VM of the server makes it, as its fork
   * @throws AgentVmError `invalid_argument`
   */
  checkInput(input: unknown, sender: { isOwn: boolean }): unknown;
  /** Lets a VM serve a connection. @returns `undefined` if the VM is not awake in this process */
  serveAwake(
    vm: VmName,
    actorId: string,
    serve: (vm: VisitedVm) => Promise<void>,
    kind: VisitKind,
  ): Promise<void> | undefined;
  /** Returns whether a VM of this process is awake, and neither starts nor ends. */
  isAwake(actorId: string): boolean;
  /** Returns how a VM of this process is, and with `use` what it uses; `undefined` if it is not awake. */
  factsOf(actorId: string, options: { use: boolean }): Promise<LiveFacts> | undefined;
  /** Stores the files of a VM that is awake. @throws AgentVmError `storage_failed` */
  store(actorId: string): Promise<void>;
  /** Awake VMs that this process can have at most. */
  capacity(): number;
  /** Boots a VM and ends it. @throws Error if VMs cannot boot */
  tryBoot(signal: AbortSignal): Promise<void>;
  /** Loads the runtime, before the first VM. Idempotent. */
  load(): Promise<void>;
  /** Boots VMs ahead in the background, until `drain`. Idempotent. */
  warm(): void;
  /** Ends the VMs that are booted ahead, and boots no more. Never rejects. */
  drain(): Promise<void>;
  /** Counts of the VMs that are booted ahead; `undefined` if none are. */
  poolTally(): PoolTally | undefined;
}

/** Access to `vmActor()`s that no `setup()` of agent-vm has taken: loopback only. */
const UNBOUND = new AccessControl({ allowedOrigins: [], behindEngine: false, secret: randomUUID() });

const BINDING = Symbol("server of a vmActor()");

/** Makes the server of a `vmActor()` that no `setup()` of agent-vm has taken. */
export function unboundServer(): VmServer {
  let monitor: Monitor | undefined;
  return {
    access: UNBOUND,
    get monitor() {
      monitor ??= new Monitor(createLogger());
      return monitor;
    },
    ...{ directory: undefined, secret: undefined, tunnels: undefined, places: undefined, takesBodies: false },
  };
}

/** Registers a definition as a `vmActor()`, in a field of the definition. */
export function registerVm(definition: object, binding: VmBinding): void {
  Object.defineProperty(definition, BINDING, { value: binding });
}

/** @returns the binding of a `vmActor()`; `undefined` for an actor of another kind. */
function bindingOf(definition: unknown): VmBinding | undefined {
  const isObject = typeof definition === "object" && definition !== null;
  return isObject ? (definition as { [BINDING]?: VmBinding })[BINDING] : undefined;
}

/** @returns the bindings of all `vmActor()`s among the actors of a server, by name */
export function vmsIn(actors: Readonly<Record<string, unknown>>): ReadonlyMap<string, VmBinding> {
  const found = new Map<string, VmBinding>();
  for (const [name, definition] of Object.entries(actors)) {
    const binding = bindingOf(definition);
    if (binding !== undefined) found.set(name, binding);
  }
  return found;
}

/**
 * Gives a server to all of its `vmActor()`s.
 *
 * @throws Error if another server has taken a definition: its token would silently change.
 */
export function bindVms(vms: readonly VmBinding[], server: VmServer): void {
  for (const binding of vms) {
    if (binding.server.access !== UNBOUND) {
      throw new Error("This vmActor() belongs to another setup(). Make a new vmActor() for each setup().");
    }
    binding.server = server;
  }
}
