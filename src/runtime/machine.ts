import { AgentVmError, vmStopped } from "../api/errors.ts";
import type { VmEvents } from "../api/events.ts";
import { type Booted, type Furniture, furnish, vacate } from "./booted.ts";
import type { Persistence } from "./persistence/persistence.ts";
import type { Sandbox, SandboxFactory } from "./sandbox/sandbox.ts";

/** Why a VM ends. */
export type EndReason = VmEvents["vmShutdown"]["reason"];

export interface MachineHooks {
  /** Awaited before each boot. */
  beforeBoot?(): Promise<void>;
  /** A sandbox has come up and has no files yet. */
  prepare(sandbox: Sandbox): Promise<void>;
  up(sandbox: Sandbox): void;
  /** What is up is about to go down. */
  down(): void;
  /** It has gone down. */
  shutDown(reason: EndReason): void;
}

/** The boots of one VM: up with the first call, down when it crashes, is replaced or ends, and up again. */
export class Machine {
  readonly #factory: SandboxFactory;
  readonly #furniture: Furniture;
  readonly #hooks: MachineHooks;
  #boot: Promise<Booted> | undefined;
  #live: Booted | undefined;
  /** Other files are being put in place; a boot waits for it. */
  #replacement: Promise<void> | undefined;
  readonly #cancel = new AbortController();
  #ending: Promise<void> | undefined;

  constructor(factory: SandboxFactory, furniture: Furniture, hooks: MachineHooks) {
    this.#factory = factory;
    this.#furniture = furniture;
    this.#hooks = hooks;
  }

  /** The boot that has come up and not gone down. */
  get live(): Booted | undefined {
    return this.#live;
  }

  get isEnding(): boolean {
    return this.#ending !== undefined;
  }

  /** Boots where it is not up; a hundred callers boot it once, and after a failure the next one tries again. */
  booted(): Promise<Booted> {
    if (this.#ending !== undefined) return Promise.reject(vmStopped());
    if (this.#boot === undefined) {
      const boot = this.#start();
      this.#boot = boot;
      // A failed boot is not kept.
      boot.catch(() => {
        if (this.#boot === boot) this.#boot = undefined;
      });
    }
    return this.#boot;
  }

  /** What is up or about to be. */
  async upcoming(): Promise<Booted | undefined> {
    return await this.#boot?.catch(() => undefined);
  }

  /** @throws AgentVmError `no_storage` */
  async persistence(): Promise<Persistence> {
    const { persistence } = await this.booted();
    if (persistence === undefined) throw new AgentVmError("no_storage", "This VM has no storage");
    return persistence;
  }

  /** Boots; files whose content is lost are left out if that is allowed. */
  async restore(allowMissing: boolean): Promise<void> {
    this.#furniture.allowMissing = allowMissing;
    try {
      await this.booted();
    } finally {
      this.#furniture.allowMissing = false;
    }
  }

  /**
   * Ends every process and lets `adopt` put other files in place of these; the next call boots with them. Where it cannot,
   * what processes wrote is kept.
   */
  async replace(booted: Booted, adopt: () => Promise<void>): Promise<void> {
    if (this.#live !== booted) throw vmStopped();
    this.#boot = undefined;
    this.#live = undefined;
    // The next call boots, and must find this one done.
    const done = this.#replace(booted, adopt);
    this.#replacement = done.catch(() => undefined);
    await done;
  }

  /** Ends everything inside and lets go of everything outside. Idempotent. */
  end(reason: EndReason): Promise<void> {
    this.#ending ??= this.#end(reason);
    return this.#ending;
  }

  async #start(): Promise<Booted> {
    await this.#replacement;
    await Promise.race([this.#hooks.beforeBoot?.(), aborted(this.#cancel.signal)]);
    const sandbox = await this.#factory.boot(this.#cancel.signal);
    if (this.#ending !== undefined) {
      await sandbox.dispose();
      throw vmStopped();
    }
    try {
      const booted = await this.#furnish(sandbox);
      this.#live = booted;
      void sandbox.crashed.then(() => this.#crash(booted));
      this.#hooks.up(sandbox);
      return booted;
    } catch (error) {
      await sandbox.dispose();
      throw error;
    }
  }

  async #furnish(sandbox: Sandbox): Promise<Booted> {
    const furnishing = this.#hooks.prepare(sandbox).then(() => furnish(sandbox, this.#furniture));
    try {
      // Storage that does not answer must not keep the VM from ending.
      return await Promise.race([furnishing, aborted(this.#cancel.signal)]);
    } catch (error) {
      // It may answer yet.
      furnishing.then(({ persistence }) => persistence?.close(false)).catch(() => undefined);
      throw error;
    }
  }

  /** The sandbox ended by itself: what is left of it goes, and the next call boots a new one. */
  #crash(booted: Booted): void {
    if (this.#ending !== undefined) return;
    this.#boot = undefined;
    this.#live = undefined;
    this.#hooks.shutDown("error");
    this.#hooks.down();
    // The next boot restores what this one keeps.
    this.#replacement = vacate(booted, true).catch(this.#furniture.onCheckpointFailure);
  }

  async #replace(booted: Booted, adopt: () => Promise<void>): Promise<void> {
    this.#hooks.down();
    let isReplaced = false;
    try {
      await booted.sandbox.halt();
      await adopt();
      isReplaced = true;
    } finally {
      await vacate(booted, !isReplaced).catch(this.#furniture.onCheckpointFailure);
      this.#hooks.shutDown("sleep");
    }
  }

  async #end(reason: EndReason): Promise<void> {
    this.#cancel.abort(vmStopped());
    // A boot that fails now has cleaned up after itself.
    const booted = await this.#boot?.catch(() => undefined);
    // What is destroyed need not be kept.
    const keep = reason !== "destroy";
    if (keep) await this.#replacement;
    if (booted === undefined) return;
    this.#hooks.down();
    try {
      await vacate(booted, keep);
    } finally {
      this.#hooks.shutDown(reason);
    }
  }
}

/** Rejects when the signal is aborted, with its reason. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}
