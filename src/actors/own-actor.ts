import type { VmInput } from "../api/vm-input.ts";
import { asCaller } from "../base/caller.ts";
import type { Grant } from "../http/grant.ts";
import type { VmMonitor } from "../monitoring/monitor.ts";
import type { ActorLog } from "../rivet/log.ts";
import { UserError } from "../rivet/rivetkit.ts";
import { toUserError } from "../rivet/user-error.ts";
import { MAX_STOP_HOOK_MS, runHook } from "../runtime/hook-calls.ts";
import type { VmHandlers } from "../runtime/hooks.ts";
import { hostVm } from "../runtime/host-vm.ts";
import type { VmConnectionState, VmContext, VmState, VmVars } from "./context.ts";
import { EventHooks } from "./event-hooks.ts";
import { isClients, ownConnection, ownContext, ownState, type RawConnection } from "./own-context.ts";
import { type AnyParts, eventHooks, vmHandlers } from "./own-parts.ts";
import type { VmCreateContext } from "./own-types.ts";
import type { VmConnectionParams } from "./vm-actor.ts";

type ActorContext = Pick<VmContext, "actorId" | "name" | "key" | "keepAwake"> & { readonly state: VmState };
type LiveContext = ActorContext & { readonly vars: VmVars };

/** Parts that a server adds to the actor of its VMs, as the functions that RivetKit calls. */
export class OwnActor {
  readonly parts: AnyParts;
  readonly #timeoutMs: number;
  readonly #log: () => ActorLog;

  /**
   * @param timeoutMs longest time of a hook that the actor waits for
   * @param log log of the server
   */
  constructor(parts: AnyParts, timeoutMs: number, log: () => ActorLog) {
    this.parts = parts;
    this.#timeoutMs = timeoutMs;
    this.#log = log;
  }

  /** RivetKit's `run`, if the server has one. */
  get run(): { run?: (c: LiveContext) => Promise<void> } {
    const { run } = this.parts;
    if (run === undefined) return {};
    return {
      run: async (c) => {
        try {
          await asCaller({}, () => run(ownContext(c, c.vars) as never));
        } catch (error) {
          c.vars.own.log.error({ msg: "a hook has failed", hook: "run", err: error });
        }
      },
    };
  }

  /** Makes the first state of a VM. @throws Error of the server's code; AgentVmError `hook_failed` */
  async createState(c: VmCreateContext, input: unknown): Promise<{ value: unknown }> {
    const { state, createState } = this.parts;
    if (createState === undefined) return { value: structuredClone(state) };
    const made = () => createState(createContext(c), (input ?? {}) as VmInput);
    return { value: await this.#value("createState", made) };
  }

  /** A VM has been made. */
  async created(c: VmCreateContext & { readonly state: VmState }): Promise<void> {
    const { onCreate } = this.parts;
    if (onCreate === undefined) return;
    const context = createContextWithState(c);
    await this.#logged(this.#log(), "onCreate", () => onCreate(context, (c.state.own ?? {}) as VmInput));
  }

  /** Makes the variables of an awake actor, without its VM. @throws Error of the server's code; AgentVmError `hook_failed` */
  async vars(
    c: ActorContext,
    server: Pick<VmVars, "access" | "secret" | "takesBodies">,
    monitor: VmMonitor,
    destroy: () => void,
  ): Promise<VmVars> {
    const { vars, createVars } = this.parts;
    const made = createVars && (() => createVars(createContextWithState(c)));
    const { actorId, key } = c;
    const awake = {
      ...server,
      own: {
        parts: this.parts,
        log: monitor.log,
        vars: made === undefined ? structuredClone(vars) : await this.#value("createVars", made),
        host: hostVm(() => awake.instance.vm, { actorId, key }),
        destroy,
      },
    } as VmVars;
    return awake;
  }

  /** Returns the server's functions for the life of a VM. */
  handlers(c: ActorContext, vars: VmVars): VmHandlers {
    const context = (identity?: unknown) => ownContext(c, vars, { identity }) as never;
    return vmHandlers(this.parts, context);
  }

  /** Returns the server's functions for events of a VM. */
  eventHooks(c: ActorContext, vars: VmVars): EventHooks {
    const { log } = vars.own;
    return new EventHooks(
      eventHooks(this.parts, () => ownContext(c, vars) as never),
      {
        timeoutMs: this.#timeoutMs,
        log,
        keepAwake(work) {
          c.keepAwake(work).catch((error: unknown) => {
            // The actor has already stopped.
            log.debug({ msg: "keepAwake work failed", err: error });
          });
        },
      },
    );
  }

  /** Admits a connection of a client. @throws Error of the server's code; AgentVmError `hook_failed` */
  async connecting(c: LiveContext, grant: Grant, params: VmConnectionParams): Promise<{ value: unknown }> {
    const { onBeforeConnect, createConnState } = this.parts;
    if (onBeforeConnect === undefined && createConnState === undefined) return { value: undefined };
    const context = ownContext(c, c.vars, grant) as never;
    await this.#value("onBeforeConnect", async () => onBeforeConnect?.(context, params));
    return { value: await this.#value("createConnState", async () => createConnState?.(context, params)) };
  }

  /** Runs a hook for a connection of a client. */
  onConnection(name: "onConnect" | "onDisconnect", c: LiveContext, connection: RawConnection): void {
    const hook = this.parts[name];
    if (hook === undefined || !isClients(connection)) return;
    void this.#logged(c.vars.own.log, name, () =>
      hook(ownContext(c, c.vars, connection.state) as never, ownConnection(connection) as never),
    );
  }

  /** Answers a request that is not for a preview. */
  async answer(
    c: LiveContext & { conn?: { state: VmConnectionState } },
    request: Request,
  ): Promise<Response> {
    const { onRequest } = this.parts;
    if (onRequest === undefined) return new Response("Not Found", { status: 404 });
    try {
      const grant = c.conn?.state;
      const context = ownContext(c, c.vars, grant) as never;
      return await asCaller({ identity: grant?.identity }, async () => await onRequest(context, request));
    } catch (error) {
      throw toUserError(error, c.vars.own.log, "onRequest");
    }
  }

  /** Prepares an actor for its sleep. Never rejects. @param save stores the actor's state */
  async beforeSleep(c: ActorContext, vars: VmVars, save: () => Promise<void>): Promise<void> {
    await this.#life("onSleep", c, vars);
    try {
      await save();
    } catch (error) {
      // RivetKit may have stored it already, and has then stopped.
      vars.own.log.debug({ msg: "could not store the state", err: error });
    }
  }

  /** Runs a hook for a change in the actor's life. Never rejects. */
  async life(name: "onWake" | "onDestroy", c: LiveContext): Promise<void> {
    await this.#life(name, c, c.vars);
  }

  async #life(name: "onWake" | "onSleep" | "onDestroy", c: ActorContext, vars: VmVars): Promise<void> {
    const hook = this.parts[name];
    if (hook === undefined) return;
    // The end of an actor waits for its hooks, but not as long as they like.
    const timeoutMs = name === "onWake" ? this.#timeoutMs : Math.min(this.#timeoutMs, MAX_STOP_HOOK_MS);
    await this.#logged(vars.own.log, name, () => hook(ownContext(c, vars) as never), timeoutMs);
  }

  /** Whether the server's code has something to do or to keep when a VM falls asleep. */
  get hasSleep(): boolean {
    const { onSleep, state, createState } = this.parts;
    return onSleep !== undefined || state !== undefined || createState !== undefined;
  }

  /** Runs a hook whose caller fails with it. @throws UserError, AgentVmError of the hook; AgentVmError `hook_failed` */
  async #value<Value>(name: string, make: () => Promise<Value> | Value): Promise<Value> {
    try {
      return await asCaller({}, () => runHook(name, this.#timeoutMs, make));
    } catch (error) {
      const { cause } = error as Error;
      if (cause instanceof UserError) throw cause;
      this.#log().error({ msg: "a hook has failed", hook: name, err: error });
      throw error;
    }
  }

  async #logged(
    log: ActorLog,
    name: string,
    hook: () => Promise<void> | void,
    timeoutMs = this.#timeoutMs,
  ): Promise<void> {
    try {
      await asCaller({}, () => runHook(name, timeoutMs, hook));
    } catch (error) {
      log.error({ msg: "a hook has failed", hook: name, err: error });
    }
  }
}

function createContext({ actorId, name, key }: VmCreateContext): VmCreateContext {
  return { actorId, name, key: [...key] };
}

/** Makes a context with the server's own state. */
function createContextWithState(
  c: VmCreateContext & { readonly state: VmState },
): VmCreateContext & { state: unknown } {
  const state = { enumerable: true, ...ownState(c) };
  return Object.defineProperty(createContext(c), "state", state) as VmCreateContext & { state: unknown };
}
