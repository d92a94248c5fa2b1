import { AgentVmError } from "../api/errors.ts";
import type { VmEventName, VmEvents } from "../api/events.ts";
import { MAX_RESULT_BYTES } from "../api/limits.ts";
import type { VmOptions } from "../runtime/options.ts";
import type { SandboxFactory } from "../runtime/sandbox/sandbox.ts";
import type { Store } from "../runtime/store.ts";
import type { RootFilesystem } from "../runtime/tar/root-filesystem.ts";
import type { Vm, VmHooks, VmSettings } from "../runtime/vm.ts";
import { ActorAlarm, type AlarmActor } from "./alarm.ts";
import { noteSent } from "./backlog.ts";
import { CallTable } from "./calls.ts";
import { Arrival, type ForkActor, Forks } from "./fork.ts";
import { hasListeners } from "./listeners.ts";
import type { ActorLog } from "./logger.ts";
import { type ActorKv, kvStore } from "./storage.ts";

/** A VM as an actor holds it: it boots with its first call. */
export type LiveVm = Omit<Vm, "boot">;

/** Makes an actor's VM, which boots with its first action. */
export type CreateVm = (options: VmOptions, hooks: VmHooks, store?: Store) => Promise<LiveVm>;

/**
 * VMs of the runtime, which is loaded with the first one: a registry may be imported for its type alone. All VMs of one
 * actor definition share a sandbox factory, and the archive that they start from.
 *
 * @param settings for VMs whose results need not cross the wire. @default those of an actor
 */
export function runtimeVms(settings: VmSettings = { maxResultBytes: MAX_RESULT_BYTES }): CreateVm {
  let factory: SandboxFactory | undefined;
  let rootFilesystem: RootFilesystem | undefined;
  return async (options, hooks, store) => {
    const [{ assembleVm }, { vmSandbox }, { RootFilesystem }] = await Promise.all([
      import("../runtime/vm.ts"),
      import("../runtime/vm-sandbox.ts"),
      import("../runtime/tar/root-filesystem.ts"),
    ]);
    factory ??= vmSandbox(options);
    if (options.rootFilesystem !== undefined) rootFilesystem ??= new RootFilesystem(options.rootFilesystem);
    return assembleVm(options, factory, hooks, {
      ...settings,
      ...(store && { store }),
      ...(rootFilesystem && { rootFilesystem }),
    });
  };
}

/** Cron jobs that could not be looked at are looked at again after this long, in milliseconds. */
const RING_RETRY_MS = 60_000;

/** What an instance needs of its actor's context. */
export interface ActorSurroundings extends AlarmActor, ForkActor {
  broadcast<Name extends VmEventName>(name: Name, payload: VmEvents[Name]): void;
  keepAwake(work: Promise<unknown>): Promise<unknown>;
  readonly log: ActorLog;
  readonly kv: ActorKv;
  readonly conns: ReadonlyMap<string, unknown>;
}

const live = new Set<VmInstance>();

/** An awake actor: its VM and the calls that clients have made of it. Gone when the actor sleeps. */
export class VmInstance {
  readonly vm: LiveVm;
  readonly calls: CallTable;
  /** Of this VM. */
  readonly forks = new Forks();
  /** Of this VM's own files, where it is a fork itself. */
  readonly arrival: Arrival;
  readonly #alarm: ActorAlarm;
  #disposed: Promise<void> | undefined;

  private constructor(vm: LiveVm, calls: CallTable, alarm: ActorAlarm, arrival: Arrival) {
    this.vm = vm;
    this.arrival = arrival;
    this.calls = calls;
    this.#alarm = alarm;
  }

  static async create(
    options: VmOptions,
    actor: ActorSurroundings,
    createVm: CreateVm,
    onPermissionRequest?: VmHooks["onPermissionRequest"],
  ): Promise<VmInstance> {
    const alarm = new ActorAlarm(actor);
    const store = kvStore(actor.kv);
    const arrival = new Arrival(actor, store);
    const hooks = { ...hooksOf(actor, alarm, arrival), ...(onPermissionRequest && { onPermissionRequest }) };
    const calls = new CallTable({
      keepAwake: hooks.keepAwake,
      onUndelivered: (error) => actor.log.debug({ msg: "outcome not delivered", err: error }),
    });
    const instance = new VmInstance(await createVm(options, hooks, store), calls, alarm, arrival);
    live.add(instance);
    // Whatever woke the actor: what came due in its absence is looked at now.
    const rung = instance.ring();
    rung.catch((error: unknown) => actor.log.error({ msg: "cron jobs not looked at", err: error }));
    hooks.keepAwake(rung);
    return instance;
  }

  /** Fires cron jobs that are due, as after an alarm. */
  async ring(): Promise<void> {
    this.#alarm.rang();
    try {
      await this.vm.ringCron();
    } catch (error) {
      // What a VM that ends has not looked at is looked at when it wakes.
      if (error instanceof AgentVmError && error.code === "vm_stopped") return;
      // Without an alarm ahead its jobs would come to a halt.
      await this.#alarm.wakeAt(Date.now() + RING_RETRY_MS);
      throw error;
    }
  }

  /** Ends the VM. Idempotent. */
  dispose(reason: VmEvents["vmShutdown"]["reason"]): Promise<void> {
    this.#disposed ??= this.vm.dispose(reason).finally(() => {
      this.calls.dispose();
      live.delete(this);
    });
    return this.#disposed;
  }
}

/** Awake VMs of this process. */
export function countAwake(): number {
  return live.size;
}

/** Lets every awake VM look at its cron jobs, as after the clock was set. */
export function ringAll(): void {
  // One that cannot answers with its error to whoever asks it for its jobs.
  for (const instance of live) instance.ring().catch(() => undefined);
}

/**
 * Ends every VM of this process, as before it exits. RivetKit 2.2 does not put actors to sleep on SIGTERM.
 *
 * @returns how many there were.
 */
export async function disposeAll(reason: VmEvents["vmShutdown"]["reason"]): Promise<number> {
  const instances = [...live];
  await Promise.allSettled(instances.map((instance) => instance.dispose(reason)));
  return instances.length;
}

function hooksOf(actor: ActorSurroundings, alarm: ActorAlarm, arrival: Arrival): VmHooks {
  return {
    emit(name, payload) {
      try {
        actor.broadcast(name, payload);
        if ("data" in payload) noteSent(payload.data.byteLength);
      } catch (error) {
        // The actor has stopped while the VM still ends: nobody is connected any more.
        actor.log.debug({ msg: "event not sent", event: name, err: error });
      }
    },
    beforeBoot: () => arrival.settled(),
    wakeAt: (timestampMs) => alarm.wakeAt(timestampMs),
    hasListeners: (name) => hasListeners(actor.conns.values(), name),
    keepAwake(work) {
      actor.keepAwake(work).catch((error: unknown) => {
        // The work's own failure, which its caller handles, or an actor that has already stopped.
        actor.log.debug({ msg: "no longer kept awake", err: error });
      });
    },
  };
}
