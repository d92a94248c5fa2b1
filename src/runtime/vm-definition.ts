import type { VmHooks, VmRunOptions } from "./hooks.ts";
import type { VmOptions } from "./options.ts";
import type { PoolConditions, PoolTally, SandboxPool } from "./sandbox/pool/sandbox-pool.ts";
import type { TestSeams } from "./test-seams.ts";
import type { LiveVm } from "./vm.ts";
import type { VmShared } from "./vm-shared.ts";

/**
 * One definition of VMs: options, and everything that its VMs share. The runtime is loaded with the first VM, so a
 * registry can be imported for its type alone.
 *
 * @example
 * const definition = new VmDefinition(options);
 * const vm = await definition.create(hooks, { store });
 * await vm.dispose("sleep");
 * await definition.close();
 */
export class VmDefinition {
  readonly options: VmOptions;
  readonly #seams: TestSeams;
  #shared: Promise<VmShared> | undefined;
  #pool: SandboxPool | undefined;

  constructor(options: VmOptions, seams: TestSeams = {}) {
    this.options = options;
    this.#seams = seams;
  }

  /** Loads the runtime and makes what the VMs share. Idempotent; `create` calls it. */
  open(): Promise<VmShared> {
    this.#shared ??= import("./vm-shared.ts")
      .then(({ openShared }) => openShared(this.options, this.#seams))
      .catch((error: unknown) => {
        // The next VM tries again.
        this.#shared = undefined;
        throw error;
      });
    return this.#shared;
  }

  /** Makes a VM. It boots with its first call. */
  async create(hooks: VmHooks, run: VmRunOptions = {}): Promise<LiveVm> {
    if (this.#seams.createVm !== undefined) return this.#seams.createVm(this.options, hooks, run);
    const [{ assembleVm }, shared] = await Promise.all([import("./vm.ts"), this.open()]);
    return assembleVm(shared, hooks, run);
  }

  /**
   * Boots sandboxes ahead in the background, as the option `pool` says, until `drain` or `close`. Idempotent. A host that
   * cannot boot them boots its VMs when they are needed.
   */
  warm(conditions: PoolConditions): void {
    const { pool, runtime } = this.options;
    if (this.#seams.createVm !== undefined || pool.size === 0 || runtime !== "kernel") return;
    this.open().then(({ pool }) => {
      this.#pool = pool;
      pool?.open(conditions);
    }, conditions.onFailure);
  }

  /** Counts of the sandboxes that are booted ahead; `undefined` if none are. */
  get poolTally(): PoolTally | undefined {
    return this.#pool?.tally;
  }

  /** Ends the sandboxes that wait for a VM, and boots no more ahead. */
  async drain(): Promise<void> {
    const opened = await this.#shared?.catch(() => undefined);
    await opened?.pool?.drain();
  }

  /** Boots a sandbox and ends it, to find out whether VMs can run. @throws AgentVmError `boot_failed` */
  async tryBoot(signal: AbortSignal): Promise<void> {
    if (this.#seams.createVm !== undefined) return;
    const { factory } = await this.open();
    const sandbox = await factory.boot(signal);
    await sandbox.dispose();
  }

  /** Releases what the VMs share. Call it after their end. Idempotent; the next VM opens the definition again. */
  async close(): Promise<void> {
    const shared = this.#shared;
    this.#shared = undefined;
    const opened = await shared?.catch(() => undefined);
    await (opened?.pool ?? opened?.factory)?.close?.();
  }
}
