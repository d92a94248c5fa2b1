import { AgentVmError } from "../api/errors.ts";
import type { VmEvents } from "../api/events.ts";
import { MAX_RESULT_BYTES } from "../api/limits.ts";
import type { Labels } from "../api/methods/machine.ts";
import type { OwnLimits } from "../api/vm-input.ts";
import { asCaller } from "../base/caller.ts";
import { noteEnd, noteStart } from "../base/heap.ts";
import { within } from "../base/within.ts";
import type { Listing, VmDirectory } from "../directory/vm-directory.ts";
import type { VisitKind } from "../http/actor-visits.ts";
import type { LiveFacts } from "../http/peers/messages.ts";
import type { Tunnels } from "../http/tunnels/tunnels.ts";
import type { VmMonitor } from "../monitoring/monitor.ts";
import { kvStore } from "../rivet/kv-store.ts";
import type { VmHandlers } from "../runtime/hooks.ts";
import type { VmOptions } from "../runtime/options.ts";
import { type OwnOptions, parseOwnLimits } from "../runtime/own-options.ts";
import type { LiveVm } from "../runtime/vm.ts";
import type { VmDefinition } from "../runtime/vm-definition.ts";
import { ActorAlarm } from "./actor-alarm.ts";
import { Arrival } from "./arrival.ts";
import { awake } from "./awake-vms.ts";
import { CallNote } from "./call-note.ts";
import { CallTable } from "./calls.ts";
import { keepDefinition } from "./definitions.ts";
import { asRunning } from "./drain.ts";
import type { EventHooks } from "./event-hooks.ts";
import { eventLogs } from "./event-log.ts";
import type { PeerParams } from "./fork-peers.ts";
import { openSecrets } from "./fork-secrets.ts";
import { HeldArguments } from "./held-arguments.ts";
import { REPLACE_TIMEOUT_MS } from "./limits.ts";
import { Forks } from "./open-forks.ts";
import { sealingKeyOf } from "./sealing-key.ts";
import { vmFacts } from "./vm-facts.ts";
import { type ActorDeps, hooksOf } from "./vm-hooks.ts";

/**
 * Pause before the VM checks its cron jobs again after storage failed.
 * @unit ms
 */
const RING_RETRY_MS = 60_000;

interface InstanceDeps {
  vm: LiveVm;
  place: VmPlace;
  calls: CallTable;
  alarm: ActorAlarm;
  arrival: Arrival;
  options: VmOptions;
  actor: ActorDeps;
  monitor: VmMonitor;
  onFailure: (error: unknown) => void;
  keepAwake(work: Promise<unknown>): void;
}

/** The server in which a VM lives. */
interface VmPlace {
  /** Parameters of connections to the other VM of a fork. */
  peer: PeerParams;
  /** Lists the VM; `undefined` behind a Rivet Engine. */
  directory?: VmDirectory | undefined;
  /** The tunnels of the server's clients. */
  tunnels?: Tunnels | undefined;
  /** Whether the VM may move to another server, as behind a Rivet Engine. @default false */
  mayMove?: boolean;
  /** Secret of the server, which encrypts the VM's secrets. @default the VM's secrets are not stored */
  secret?: Uint8Array | undefined;
  /** Functions of the server for the VM's events. */
  events?: EventHooks;
  /** Why the VM must not boot; `undefined`: it may. */
  refusal?: AgentVmError | undefined;
  /** Runs before the VM falls asleep. Never rejects. */
  beforeSleep?: (() => Promise<void>) | undefined;
  /** Releases the definition of this VM alone, after the VM's end. */
  close?(): Promise<void>;
}

/** An awake actor: its VM, and the calls of its clients. Ends when the actor sleeps. */
export class VmInstance {
  readonly vm: LiveVm;
  readonly calls: CallTable;
  /** Tells the next instance which calls have begun. */
  readonly note: CallNote;
  /** Arguments of running calls. */
  readonly held = new HeldArguments();
  /** Forks that other VMs are copying from this VM. */
  readonly forks = new Forks();
  /** Copy of the parent's files, if `fork()` made this VM. */
  readonly arrival: Arrival;
  readonly monitor: VmMonitor;
  readonly #options: VmOptions;
  readonly #onFailure: (error: unknown) => void;
  readonly #alarm: ActorAlarm;
  readonly #actor: ActorDeps;
  readonly #place: VmPlace;
  readonly #keepAwake: (work: Promise<unknown>) => void;
  #isStarted = false;
  #listing: Listing | undefined;
  #lastUsedAt = Date.now();
  #disposed: Promise<void> | undefined;

  private constructor(parts: InstanceDeps) {
    const { vm, place, calls, alarm, arrival, options, actor, monitor, onFailure } = parts;
    this.#place = place;
    this.#keepAwake = parts.keepAwake;
    this.monitor = monitor;
    this.vm = vm;
    this.#onFailure = onFailure;
    this.#options = options;
    this.arrival = arrival;
    this.calls = calls;
    this.note = new CallNote(actor);
    this.#alarm = alarm;
    this.#actor = actor;
  }

  /**
   * Makes the VM of an actor, after the end of an older VM of this actor in this process.
   *
   * @param monitor watches the VM
   * @param place the server in which the VM lives
   */
  static async create(
    definition: VmDefinition,
    actor: ActorDeps,
    handlers: VmHandlers,
    monitor: VmMonitor,
    place: VmPlace,
  ): Promise<VmInstance> {
    const { directory, tunnels, mayMove = false, secret, events, refusal } = place;
    const { actorId, name, key } = actor;
    const { log } = monitor;
    const ended = awake.get(actorId)?.dispose("sleep");
    // Its storage refuses an older VM that has not ended by then.
    if (ended !== undefined)
      await within(
        ended.catch(() => undefined),
        REPLACE_TIMEOUT_MS,
      );
    const alarm = new ActorAlarm(actor);
    const store = kvStore(actor.kv);
    const arrival = new Arrival(actor, {
      store,
      peer: place.peer,
      takeSecrets: (ticket, sealed) => vm.takeSecrets(openSecrets(secret, ticket, sealed)),
    });
    let listing: Listing | undefined;
    const admitBoot = () => {
      if (refusal !== undefined) throw refusal;
      listing?.admitBoot();
    };
    const offers = tunnels?.offersOf(actorId);
    const hooks = {
      ...hooksOf({ actor, log, alarm, arrival, admitBoot, events }),
      ...handlers,
      ...(offers && { offers }),
    };
    const calls = new CallTable({
      // A server that drains waits until the outcome of each call leaves.
      keepAwake: (call) => hooks.keepAwake(asRunning(instance, () => call)),
      mayMove,
      before: actor.state.ended,
      onUndelivered: (error) => log.debug({ msg: "could not send call outcome", err: error }),
    });
    if (place.close === undefined) keepDefinition(definition);
    const own = actor.state.own ?? {};
    const onFailure = (error: unknown) => log.error({ msg: "background work of the VM failed", err: error });
    const vm = await definition.create(hooks, {
      store,
      own,
      isStoreShared: mayMove,
      sealingKey: secret && sealingKeyOf(secret, actorId),
      dataFolder: directory?.folder,
      maxResultBytes: MAX_RESULT_BYTES,
      onFailure,
      report: (report) => monitor.report(report),
    });
    const instance: VmInstance = new VmInstance({
      vm,
      place,
      calls,
      alarm,
      arrival,
      options: definition.options,
      actor,
      monitor,
      onFailure,
      keepAwake: hooks.keepAwake,
    });
    const facts = { labels: await vm.labels(), destroyAfterMs: own.destroyAfterMs };
    listing = directory?.enter({ actorId, name, key: [...key] }, facts, {
      state: () => vm.state(),
      processes: () => vm.processCount(),
      sessions: () => vm.sessionCount(),
      use: () => vm.listUse(),
      lastUsedAt: () => instance.#lastUsedAt,
    });
    instance.#listing = listing;
    awake.set(actorId, instance);
    noteStart();
    // Jobs may have come due while the actor slept, whatever has woken it.
    const rung = instance.ring();
    rung.catch((error: unknown) => {
      log.error({ msg: "failed to run due cron jobs", err: error });
    });
    hooks.keepAwake(rung);
    return instance;
  }

  /** Runs the cron jobs that are due, and sets the next alarm. */
  async ring(): Promise<void> {
    this.#alarm.rang();
    try {
      // The alarm's timer may have been set during a client's call.
      await asCaller({}, () => this.vm.ringCron());
    } catch (error) {
      // The VM is stopping. It checks its due jobs again when it wakes.
      if (error instanceof AgentVmError && error.code === "vm_stopped") return;
      // Without an alarm, no job of this VM would ever run again.
      await this.#alarm.wakeAt(Date.now() + RING_RETRY_MS);
      throw error;
    }
  }

  /** Notes that a client uses the VM now. */
  used(): void {
    this.#lastUsedAt = Date.now();
  }

  /** The actor has started. RivetKit holds requests back until then. */
  started(): void {
    this.#isStarted = true;
  }

  /** Whether the actor neither starts nor stops. */
  get isServing(): boolean {
    return this.#isStarted && !this.#actor.abortSignal.aborted && this.#disposed === undefined;
  }

  /**
   * Serves a connection, which keeps the VM awake.
   *
   * @returns `undefined` if the actor starts or stops
   */
  serve(visit: (instance: VmInstance) => Promise<void>, { isCall }: VisitKind): Promise<void> | undefined {
    if (!this.isServing) return undefined;
    this.used();
    const served = isCall ? asRunning(this, () => visit(this)) : visit(this);
    this.#keepAwake(served);
    return served;
  }

  /** Returns the state of the VM, as a list shows it, and with `use` what it uses. */
  facts({ use }: { use: boolean }): Promise<LiveFacts> {
    return vmFacts(this.vm, { use, lastUsedAt: () => this.#lastUsedAt });
  }

  async setLabels(labels: Labels): Promise<void> {
    await this.vm.setLabels(labels);
    this.#listing?.setLabels(labels);
  }

  /** Lays limits over the options of the VM. @throws AgentVmError `invalid_argument` for a limit that the server forbids */
  withLimits(own: OwnOptions, limits: OwnLimits): OwnOptions {
    return { ...own, limits: { ...own.limits, ...parseOwnLimits(limits, this.#options) } };
  }

  /** Ends the VM for good. A server that dies before the actor is gone deletes it when it starts again. */
  async endForGood(): Promise<void> {
    this.#listing?.beginDestroy();
    this.#place.tunnels?.destroyed(this.#actor.actorId);
    await this.dispose("destroy");
  }

  /** Deletes the actor. @param destroy deletes the actor of a Rivet Engine in the engine */
  destroyActor(destroy: () => void): void {
    if (this.#listing === undefined) destroy();
    else this.#listing.destroy().catch(this.#onFailure);
  }

  /** Ends the VM. Idempotent. */
  dispose(reason: VmEvents["vmShutdown"]["reason"]): Promise<void> {
    if (this.#disposed !== undefined) return this.#disposed;
    const { beforeSleep, events, close } = this.#place;
    const before = reason === "sleep" ? beforeSleep?.() : undefined;
    const ended = () => this.vm.dispose(reason);
    this.#disposed = (before === undefined ? ended() : before.then(ended)).finally(async () => {
      try {
        await events?.settled();
        await close?.().catch(this.#onFailure);
        if (reason === "destroy") eventLogs.forget(this.#actor.actorId);
        if (this.#place.mayMove) this.note.write(this.calls);
        this.calls.dispose();
      } finally {
        const { actorId } = this.#actor;
        if (awake.get(actorId) === this) awake.delete(actorId);
        this.#listing?.leave();
        this.monitor.end();
        noteEnd(awake.size);
      }
    });
    return this.#disposed;
  }
}
