import { loadOnce } from "../base/load-once.ts";
import type { VmHooks, VmRunOptions } from "./hooks.ts";
import type { VmOptions } from "./options.ts";
import { awakeCapacity } from "./sandbox/host-room.ts";
import type { PoolConditions, PoolTally, SandboxPool } from "./sandbox/pool/sandbox-pool.ts";
import type { TestSeams } from "./test-seams.ts";
import type { LiveVm } from "./vm.ts";
import type { VmShared } from "./vm-shared.ts";

/** Options that a sandbox does not depend on. */
const SHARED: ReadonlySet<string> = new Set([
  "env",
  "defaultCwd",
  "limits",
  "services",
  "checkpoint",
  "persistence",
  "cron",
  "sessions",
  "network",
] satisfies (keyof VmOptions)[]);

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
  /** The definition whose sandboxes this one uses. */
  readonly #base: VmDefinition | undefined;
  readonly #shared = loadOnce(async () =>
    (await import("./vm-shared.ts")).openShared(this.options, this.#seams),
  );
  #pool: SandboxPool | undefined;
  readonly #code = loadOnce(() => import("./vm.ts"));

  /** @param base definition whose sandboxes this one uses. @default sandboxes of its own */
  constructor(options: VmOptions, seams: TestSeams = {}, base?: VmDefinition) {
    this.options = options;
    this.#seams = seams;
    this.#base = base;
  }

  /**
   * Makes the definition of one VM, whose options differ from these. Close it after the VM's end.
   *
   * @param changed names of the options that differ
   */
  withOptions(options: VmOptions, changed: readonly string[]): VmDefinition {
    const isShared = changed.every((name) => SHARED.has(name));
    // A pool for one VM would never be used.
    return new VmDefinition(
      { ...options, pool: { ...options.pool, size: 0 } },
      this.#seams,
      isShared ? this : undefined,
    );
  }

  /** Loads the runtime and makes what the VMs share. Idempotent; `create` calls it. */
  open(): Promise<VmShared> {
    if (this.#base === undefined) return this.#shared();
    return this.#base.open().then((shared) => ({ ...shared, options: this.options }));
  }

  /** Loads what `create` needs: the code of VMs, and what they share. Idempotent. */
  async load(): Promise<void> {
    if (this.#seams.createVm === undefined) await Promise.all([this.#code(), this.open()]);
  }

  /** Makes a VM. It boots with its first call. */
  async create(hooks: VmHooks, run: VmRunOptions = {}): Promise<LiveVm> {
    if (this.#seams.createVm !== undefined) return this.#seams.createVm(this.options, hooks, run);
    const [{ assembleVm }, shared] = await Promise.all([this.#code(), this.open()]);
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
    const opened = await this.#shared.peek()?.catch(() => undefined);
    await opened?.pool?.drain();
  }

  /** Awake VMs that this process can have at most. */
  get capacity(): number {
    return this.options.runtime === "kernel" ? awakeCapacity() : Number.POSITIVE_INFINITY;
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
    const shared = this.#shared.peek();
    this.#shared.forget();
    const opened = await shared?.catch(() => undefined);
    await (opened?.pool ?? opened?.factory)?.close?.();
  }
}
