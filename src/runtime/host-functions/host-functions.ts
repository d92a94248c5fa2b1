import { asCaller } from "../../base/caller.ts";
import type { Room } from "../room.ts";
import type { HostCall } from "../sandbox/host-call.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { VmServices } from "../vm-services.ts";
import { HostCalls } from "./calls.ts";
import type { Catalog } from "./catalog.ts";
import { answerProgram, type HostServices } from "./command-line.ts";
import type { HostVm } from "./types.ts";

interface HostFunctionsDeps extends Pick<VmServices, "liveSandbox" | "keepAwake" | "onFailure"> {
  catalog: Catalog;
  vm: HostVm;
  /** Whether the VM has a session. */
  hasSession(sessionId: string): boolean;
}

/** Answers the programs of one VM that call functions of its host. */
export class HostFunctionRoom implements Room {
  readonly #deps: HostFunctionsDeps;
  readonly #services: HostServices;
  /** The sandbox whose programs are answered. */
  #sandbox: Sandbox | undefined;
  #close: Promise<() => void> | undefined;

  constructor(deps: HostFunctionsDeps) {
    this.#deps = deps;
    const { catalog, vm, hasSession } = deps;
    this.#services = {
      catalog,
      calls: new HostCalls(vm, (work) => deps.keepAwake(work)),
      sessionOf: ({ session }) => (hasSession(session) ? session : undefined),
    };
  }

  /** Starts to listen with the first program. */
  programStarts(): void {
    const sandbox = this.#deps.liveSandbox();
    if (sandbox !== undefined && this.#sandbox !== sandbox) this.#listen(sandbox);
  }

  down(): void {
    const close = this.#close;
    this.#sandbox = undefined;
    this.#close = undefined;
    close?.then(
      (end) => end(),
      () => undefined,
    );
  }

  stop(): void {
    this.down();
  }

  #listen(sandbox: Sandbox): void {
    this.down();
    const { network } = sandbox;
    if (network === undefined) return;
    this.#sandbox = sandbox;
    const onCall = (call: HostCall) => void answerProgram(call, this.#services);
    const close = asCaller({}, () => network.acceptCalls(onCall));
    this.#close = close;
    close.catch((error: unknown) => {
      // A program of the VM may have taken the name. The next program tries again.
      if (this.#sandbox === sandbox) this.#sandbox = undefined;
      this.#deps.onFailure(error);
    });
  }
}
