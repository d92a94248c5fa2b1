import type {
  Labels,
  MachineMethods,
  ResourceUse,
  VmState,
  VmStatus,
  VmUsage,
} from "../../api/methods/machine.ts";
import type { BootCycle } from "../boots.ts";
import type { VmLimits } from "../options.ts";
import type { OwnOptions } from "../own-options.ts";
import { storedUsage } from "../persistence/usage.ts";
import type { Room } from "../room.ts";
import type { SandboxUsage } from "../sandbox/sandbox.ts";
import type { VmServices } from "../vm-services.ts";
import { MachineRecord } from "./record.ts";
import { type Meters, UsageMeter } from "./usage-meter.ts";

export interface MachineDeps extends Pick<VmServices, "liveSandbox" | "store" | "onFailure"> {
  /** Options that the creator of the VM has chosen. */
  own: OwnOptions;
  boots: Pick<BootCycle, "booted" | "isBooting" | "limits" | "rest" | "setLimits">;
  /** Bytes that have gone through the outbound proxy since the boot. */
  traffic(): { bytesOut: number; bytesIn: number };
  /** Number of open sessions. */
  sessions(): Promise<number>;
  /** Number of running shells. */
  shells(): number;
}

type Usage = { [Name in keyof SandboxUsage]: number | null };

/** The VM as a machine: its state, what it uses, sleep and restart. */
export class Machine implements MachineMethods, Room {
  readonly #deps: MachineDeps;
  readonly #record: MachineRecord;
  readonly #meter: UsageMeter;
  #own: OwnOptions;
  #bootedAt: number | undefined;

  constructor(deps: MachineDeps) {
    this.#deps = deps;
    this.#own = deps.own;
    this.#meter = new UsageMeter(deps.store, () => this.#meters(), deps.onFailure);
    this.#record = new MachineRecord(deps.store, deps.own.labels);
  }

  up(): void {
    this.#bootedAt = Date.now();
    this.#meter.up();
    this.#record.countBoot().catch(this.#deps.onFailure);
  }

  async beforeDown(): Promise<void> {
    await this.#meter.sample();
  }

  down(): void {
    this.#bootedAt = undefined;
    this.#meter.down();
  }

  usage(): Promise<VmUsage> {
    return this.#meter.usage();
  }

  sleep(): Promise<void> {
    return this.#deps.boots.rest();
  }

  async restart(): Promise<void> {
    await this.#deps.boots.rest();
    await this.#deps.boots.booted();
  }

  /** State of the VM now. */
  state(): VmState {
    if (this.#deps.boots.isBooting) return "booting";
    return this.#bootedAt === undefined ? "sleeping" : "awake";
  }

  /** Number of processes in the VM. */
  processCount(): number {
    return this.#deps.liveSandbox()?.processes?.count() ?? 0;
  }

  /** Number of open sessions. */
  sessionCount(): Promise<number> {
    return this.#deps.sessions();
  }

  /** Returns the VM's labels. */
  async labels(): Promise<Labels> {
    return (await this.#record.facts()).labels;
  }

  /** Replaces all labels of the VM. */
  setLabels(labels: Labels): Promise<void> {
    return this.#record.setLabels(labels);
  }

  /** Changes the options of this VM. Memory and CPUs follow at once, the other limits with the next boot. */
  setOwn(own: OwnOptions, limits: VmLimits): void {
    this.#own = own;
    this.#deps.boots.setLimits(limits);
  }

  async status(): Promise<VmStatus> {
    const { boots, sessions, shells } = this.#deps;
    const { limits } = boots;
    const [facts, usage, openSessions] = await Promise.all([this.#record.facts(), this.#usage(), sessions()]);
    const bootedAt = this.#bootedAt ?? null;
    return {
      state: this.state(),
      generation: facts.boots,
      bootedAt,
      uptimeMs: bootedAt === null ? 0 : Math.max(0, Date.now() - bootedAt),
      labels: facts.labels,
      own: shown(this.#own),
      processes: use(usage.processes, limits.processes),
      memory: use(usage.memoryBytes, limits.memoryBytes),
      cpu: { used: usage.cpuMs, limit: null, cpus: limits.cpus ?? null },
      disk: use(usage.filesystemBytes, limits.filesystemBytes),
      files: use(usage.inodes, limits.inodes),
      sessions: openSessions,
      shells: shells(),
    };
  }

  async #meters(): Promise<Meters | undefined> {
    const measured = await this.#deps.liveSandbox()?.usage();
    return (
      measured && { cpuMs: measured.cpuMs, diskBytes: measured.filesystemBytes, ...this.#deps.traffic() }
    );
  }

  /** Measures a VM that is up. For a VM that is down, the newest checkpoint knows its files. */
  async #usage(): Promise<Usage> {
    // A sandbox that ends meanwhile is measured as down.
    const live = await this.#deps
      .liveSandbox()
      ?.usage()
      .catch(() => undefined);
    if (live !== undefined) return live;
    const stored = await storedUsage(this.#deps.store);
    return {
      filesystemBytes: stored?.bytes ?? null,
      inodes: stored?.files ?? null,
      processes: 0,
      memoryBytes: 0,
      cpuMs: 0,
    };
  }
}

function use(used: number | null, limit: number | null): ResourceUse {
  return { used, limit };
}

/** Values of variables may be secrets, so a status has only their names. */
function shown({
  limits = {},
  env = {},
  network,
  rootFilesystem,
  destroyAfterMs,
}: OwnOptions): VmStatus["own"] {
  return {
    limits,
    env: Object.keys(env),
    outbound: network?.outbound ?? null,
    rootFilesystem: rootFilesystem ?? null,
    destroyAfterMs: destroyAfterMs ?? null,
  };
}
