import type { VmEventName, VmEvents } from "../api/events.ts";
import type { VmMonitor } from "../monitoring/monitor.ts";
import { noteBytes } from "../rivet/client-backlog.ts";
import { withQuickJson } from "../rivet/json-bytes.ts";
import type { ActorKv } from "../rivet/kv-store.ts";
import { hasListeners } from "../rivet/subscribers.ts";
import type { VmHooks } from "../runtime/hooks.ts";
import type { ActorAlarm, AlarmActor } from "./actor-alarm.ts";
import type { Arrival } from "./arrival.ts";
import type { EventHooks } from "./event-hooks.ts";
import { eventLogs } from "./event-log.ts";
import type { ForkActor } from "./fork-peers.ts";

/** The part of an actor's context that its VM uses. */
export interface ActorDeps extends AlarmActor, Omit<ForkActor, "state"> {
  broadcast<Name extends VmEventName>(name: Name, payload: VmEvents[Name]): void;
  keepAwake(work: Promise<unknown>): Promise<unknown>;
  readonly kv: ActorKv;
  readonly actorId: string;
  readonly key: readonly string[];
  readonly conns: ReadonlyMap<string, unknown>;
  /** Aborts when the actor begins to sleep or to end. */
  readonly abortSignal: AbortSignal;
}

interface HookDeps {
  actor: ActorDeps;
  log: VmMonitor["log"];
  alarm: ActorAlarm;
  arrival: Arrival;
  /** Throws if the VM must not boot. */
  admitBoot(): void;
  /** Functions of the actor's definition that see the VM's events. */
  events: EventHooks | undefined;
}

/** Makes the hooks by which a VM uses its actor. */
export function hooksOf({ actor, log, alarm, arrival, admitBoot, events }: HookDeps): VmHooks {
  const { actorId, key } = actor;
  return {
    identity: { actorId, key },
    emit(name, payload) {
      if ("putBack" in payload) log.warn({ msg: "put back deleted files of the VM", paths: payload.putBack });
      try {
        actor.broadcast(name, withQuickJson(payload));
        if ("data" in payload) noteBytes(payload.data.byteLength);
      } catch (error) {
        // The actor has stopped before its VM. No client is connected any more.
        log.debug({ msg: "could not send event", event: name, err: error });
      }
      eventLogs.add(actorId, name, payload);
      events?.tell(name, payload);
    },
    async beforeBoot() {
      admitBoot();
      await arrival.ready();
    },
    wakeAt: (timestampMs) => alarm.wakeAt(timestampMs),
    hasListeners: (name) => hasListeners(actor.conns.values(), name),
    keepAwake(work) {
      actor.keepAwake(work).catch((error: unknown) => {
        // The work has failed, which its caller handles, or the actor has already stopped.
        log.debug({ msg: "keepAwake work failed", err: error });
      });
    },
  };
}
