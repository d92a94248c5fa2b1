import type { AgentVmError } from "../api/errors.ts";
import { asCaller, currentCaller, type HookPass } from "../base/caller.ts";
import type { EndReason } from "./room.ts";

/** Tells the owner of a VM about its boots. */
export interface BootEvents {
  /** Runs before each boot, which waits for it. */
  beforeBoot(): Promise<void> | undefined;
  /** The sandbox is up, and nobody else has heard about it. The boot waits for it, and fails with its error. */
  starting(): Promise<void> | undefined;
  /** The sandbox is about to end, or has ended by itself. The end waits for it. Never rejects. */
  stopping(reason: EndReason): Promise<void> | undefined;
  /** The sandbox is up, before the rooms hear about it. @param putBack paths that the VM's files lacked */
  booted(putBack: readonly string[]): void;
  /** The files could not be restored whole, and are read-only. */
  readOnly(damage: AgentVmError): void;
  /** The sandbox is down. */
  shutDown(reason: EndReason): void;
}

/** The server's code that prepares a boot, and that hears of its end. It may use the boot that waits for it. */
export class BootHooks {
  readonly #events: Pick<BootEvents, "starting" | "stopping">;
  /** `true` while a boot has started, and its end has not been told. */
  #isUntold = false;

  constructor(events: Pick<BootEvents, "starting" | "stopping">) {
    this.#events = events;
  }

  /** Whether the current work belongs to a hook for which a boot or its end waits. */
  get isInside(): boolean {
    const { pass } = currentCaller();
    return pass?.isOpen === true && pass.of === this;
  }

  /** Lets the server's code prepare a boot. @throws Error of that code */
  starting(): Promise<void> {
    return this.#run(() => this.#events.starting());
  }

  /** The boot has started, so that its end will be told. */
  started(): void {
    this.#isUntold = true;
  }

  /** Tells once that the boot goes down, and waits for the hook. Never rejects. */
  async stopping(reason: EndReason): Promise<void> {
    const isUntold = this.#isUntold;
    this.#isUntold = false;
    if (isUntold) await this.#run(() => this.#events.stopping(reason));
  }

  /** Runs a hook that may use the boot that is up. */
  async #run(hook: () => Promise<void> | undefined): Promise<void> {
    const pass: HookPass = { of: this, isOpen: true };
    try {
      await asCaller({ pass }, hook);
    } finally {
      pass.isOpen = false;
    }
  }
}
