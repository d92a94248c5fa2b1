import type { VmEventName, VmEvents } from "../api/events.ts";
import { wireSize } from "../api/size.ts";
import { asCaller } from "../base/caller.ts";
import { FairPool, type Keeper } from "../base/fair-pool.ts";
import { within } from "../base/within.ts";
import type { ActorLog } from "../rivet/log.ts";
import { runHook } from "../runtime/hook-calls.ts";
import { MAX_SERVER_WAITING_EVENT_BYTES, MAX_WAITING_EVENT_BYTES, MAX_WAITING_EVENTS } from "./limits.ts";

/** Events of all VMs that wait. */
const waitingEvents = new FairPool(MAX_SERVER_WAITING_EVENT_BYTES);

/** Time that the end of a VM waits for hooks of its last events, in milliseconds. */
const SETTLE_MS = 5_000;

/** A function of the server for one event. */
type EventHook = (payload: never) => Promise<void> | void;

/** Functions of the server for events of a VM, by the name of the event. */
export type EventHookTable = {
  readonly [Name in VmEventName]?: { name: string; run(payload: VmEvents[Name]): Promise<void> | void };
};

interface EventHooksDeps {
  timeoutMs: number;
  log: ActorLog;
  keepAwake(work: Promise<unknown>): void;
  /** Events of all VMs that wait. @default the pool of the server */
  pool?: FairPool;
}

interface Waiting extends Keeper {
  payloads: { payload: unknown; bytes: number }[];
  /** Size of the payloads. */
  bytes: number;
  /** Settles when nothing waits any more. */
  done: Promise<void>;
}

/**
 * Hands events of a VM to functions of the server: each event once, those of one function in order. A function that fails,
 * is slow or never ends holds neither the VM nor the other functions up.
 */
export class EventHooks {
  readonly #hooks: EventHookTable;
  readonly #deps: EventHooksDeps;
  readonly #waiting = new Map<string, Waiting>();

  constructor(hooks: EventHookTable, deps: EventHooksDeps) {
    this.#hooks = hooks;
    this.#deps = deps;
  }

  /** Hands an event on. Never throws. */
  tell<Name extends VmEventName>(event: Name, payload: VmEvents[Name]): void {
    const hook = this.#hooks[event];
    if (hook === undefined) return;
    const known = this.#waiting.get(event);
    if (known !== undefined) {
      const bytes = wireSize(payload);
      const fits = known.bytes + bytes <= MAX_WAITING_EVENT_BYTES;
      const hasRoom = known.payloads.length < MAX_WAITING_EVENTS && fits;
      if (!hasRoom) this.#drop(hook.name, known);
      known.payloads.push({ payload, bytes });
      this.#change(known, bytes);
      return;
    }
    const waiting: Waiting = {
      payloads: [{ payload, bytes: 0 }],
      bytes: 0,
      done: Promise.resolve(),
      shrinkTo: () => this.#drop(hook.name, waiting),
    };
    this.#waiting.set(event, waiting);
    // No client's call is the reason of the hook.
    waiting.done = asCaller({}, () => this.#work(event, hook.name, hook.run as EventHook, waiting));
    this.#deps.keepAwake(waiting.done);
  }

  /** Resolves when every event so far has been handled, or after 5 s. */
  async settled(): Promise<void> {
    await within(Promise.all([...this.#waiting.values()].map(({ done }) => done)), SETTLE_MS);
  }

  async #work(event: VmEventName, name: string, run: EventHook, waiting: Waiting): Promise<void> {
    // The function must not run within the code that has sent the event.
    await Promise.resolve();
    for (let next = waiting.payloads.shift(); next !== undefined; next = waiting.payloads.shift()) {
      const { payload, bytes } = next;
      this.#change(waiting, -bytes);
      const startedAt = performance.now();
      try {
        await runHook(name, this.#deps.timeoutMs, () => run(payload as never));
      } catch (error) {
        this.#deps.log.error({ msg: "a hook has failed", hook: name, err: error });
        // Events behind a function that hangs would keep the VM awake for hours.
        if (performance.now() - startedAt >= this.#deps.timeoutMs) this.#drop(name, waiting);
      }
    }
    this.#waiting.delete(event);
  }

  #change(waiting: Waiting, bytes: number): void {
    waiting.bytes += bytes;
    (this.#deps.pool ?? waitingEvents).changed(waiting, bytes);
  }

  #drop(name: string, waiting: Waiting): void {
    const dropped = waiting.payloads.length;
    waiting.payloads.length = 0;
    this.#change(waiting, -waiting.bytes);
    if (dropped > 0)
      this.#deps.log.error({ msg: "events for a slow hook were dropped", hook: name, dropped });
  }
}
