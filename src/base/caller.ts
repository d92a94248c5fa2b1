import { AsyncLocalStorage } from "node:async_hooks";

/** A client's call. Everything that the call awaits can ask for it. */
interface Caller {
  /** Aborts when no client waits for the call any more, so that its work is worthless. */
  gone?: AbortSignal | undefined;
  /** Identity of the client, if the server's `authorize` has named one. */
  identity?: unknown;
  /** The pass of a hook that runs within the start or the end of a VM. */
  pass?: HookPass | undefined;
}

/** Lets a hook use the VM whose start or end waits for the hook. */
export interface HookPass {
  /** The owner of the VM's boots. */
  readonly of: object;
  /** `false` once the hook has ended. */
  isOpen: boolean;
}

const callers = new AsyncLocalStorage<Caller>();

/** Runs the work of a call. `{}` stands for work that no client has asked for. */
export function asCaller<Result>(caller: Caller, work: () => Result): Result {
  return callers.run(caller, work);
}

/** Returns the call that the current work belongs to. */
export function currentCaller(): Caller {
  return callers.getStore() ?? {};
}
