import type {
  Labels,
  MachineMethods,
  ResourceUse,
  VmState,
  VmStatus,
  VmUsage,
} from "../../api/methods/machine.ts";
import type { VmListUse } from "../../api/vm-list.ts";
import type { BootCycle } from "../boots.ts";
import type { VmLimits } from "../options.ts";
import type { OwnOptions } from "../own-options.ts";
import { storedUsage } from "../persistence/usage.ts";
import type { Room } from "../room.ts";
import type { SandboxUsage } from "../sandbox/sandbox.ts";
import { LAZY } from "../store/store.ts";
import type { VmServices } from "../vm-services.ts";
import { ActivityTimer } from "./activity-timer.ts";
import { type Gauge, LimitWatch } from "./limit-watch.ts";
import { MachineRecord } from "./record.ts";
import { type Meters, UsageMeter } from "./usage-meter.ts";
import type { UsageRecord } from "./usage-record.ts";

export interface MachineDeps
  extends Pick<VmServices, "liveSandbox" | "store" | "runtime" | "emit" | "onFailure"> {
  /** Options that the creator of the VM has chosen. */
  own: OwnOptions;
  /** Resources that the VM has used so far. */
  used: UsageRecord;
  boots: Pick<BootCycle, "booted" | "isBooting" | "limits" | "rest" | "setLimits">;
  /** Bytes that have gone through the outbound proxy since the boot. */
  traffic(): { bytesOut: number; bytesIn: number };
  /** Number of open sessions. */
  sessions(): Promise<number>;
  /** Number of sessions whose agent answers a prompt. */
  promptsRunning(): number;
  /** Number of running shells. */
  shells(): number;
  /** Fixed limits. */
  maxima: { MAX_SESSIONS: number; MAX_OPEN_SHELLS: number };
}

/** Shortest time over which the use of CPUs says something, in milliseconds. */
const MIN_CPU_MS = 500;

type Usage = { [Name in Exclude<keyof SandboxUsage, "openFiles" | "connections">]: number | null };

/** The VM as a machine: its state, what it uses, sleep and restart. */
export class Machine implements MachineMethods, Room {
  readonly #deps: MachineDeps;
  readonly #record: MachineRecord;
  readonly #meter: UsageMeter;
  readonly #limits: LimitWatch;
  readonly #activity = new ActivityTimer(() => this.#meters().catch(() => undefined));
  /** CPU time of the VM at the last measurement. */
  #lastCpu: { cpuMs: number; at: number } | undefined;
  #own: OwnOptions;
  #bootedAt: number | undefined;
  #isGoingDown = false;

  constructor(deps: MachineDeps) {
    this.#deps = deps;
    this.#own = deps.own;
    this.#meter = new UsageMeter(deps.used, () => this.#meters(), deps.onFailure);
    this.#limits = new LimitWatch((warning) => deps.emit("limitWarning", warning));
    this.#record = new MachineRecord(deps.store, deps.own.labels);
  }

  up(): void {
    this.#bootedAt = Date.now();
    this.#isGoingDown = false;
    this.#meter.up();
    this.#record.countBoot().catch(this.#deps.onFailure);
  }

  running(): void {
    this.#activity.started();
  }

  async beforeDown(): Promise<void> {
    this.#isGoingDown = true;
    // The end of the VM makes it durable.
    await this.#meter.sample(LAZY);
  }

  down(): void {
    this.#bootedAt = undefined;
    this.#meter.down();
    this.#activity.stop();
    this.#limits.reset();
    this.#lastCpu = undefined;
  }

  stop(): void {
    this.#activity.stop();
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

  /** Resources that the VM uses, for a list; `undefined` while it is down. */
  async listUse(): Promise<VmListUse | undefined> {
    const usage = await this.#deps.liveSandbox()?.usage();
    if (usage === undefined) return undefined;
    const { memoryBytes, cpuMs, filesystemBytes } = usage;
    return { memoryBytes, cpuMs, diskBytes: filesystemBytes, promptsRunning: this.#deps.promptsRunning() };
  }

  /** Bytes of the VM's files now; `undefined` while it is down. Looks at no process. */
  async fileBytes(): Promise<number | undefined> {
    return await this.#deps.liveSandbox()?.fileBytes();
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
    const { boots, runtime, sessions, shells } = this.#deps;
    const { limits } = boots;
    const [facts, usage, openSessions, enforced] = await Promise.all([
      this.#record.facts(),
      this.#usage(),
      sessions(),
      runtime.enforced(limits),
    ]);
    const bootedAt = this.#bootedAt ?? null;
    return {
      state: this.state(),
      generation: facts.boots,
      bootedAt,
      uptimeMs: bootedAt === null ? 0 : Math.max(0, Date.now() - bootedAt),
      labels: facts.labels,
      own: shown(this.#own),
      processes: use(usage.processes, limits.processes),
      memory: { ...use(usage.memoryBytes, limits.memoryBytes), enforced: enforced.memory },
      cpu: { used: usage.cpuMs, limit: null, cpus: limits.cpus ?? null },
      disk: use(usage.filesystemBytes, enforced.filesystemBytes),
      files: use(usage.inodes, limits.inodes),
      sessions: openSessions,
      shells: shells(),
    };
  }

  async #meters(): Promise<Meters | undefined> {
    const measured = await this.#deps.liveSandbox()?.usage();
    if (measured === undefined) return undefined;
    // The end of a VM waits for this, and a warning would come too late.
    if (!this.#isGoingDown) await this.#warn(measured);
    return { cpuMs: measured.cpuMs, diskBytes: measured.filesystemBytes, ...this.#deps.traffic() };
  }

  /** Warns of limits that the VM comes close to. */
  async #warn(measured: SandboxUsage): Promise<void> {
    const { boots, runtime, sessions, shells, maxima } = this.#deps;
    const { limits } = boots;
    const option = (limit: keyof VmLimits, observed: number | null): Gauge => ({
      limit,
      path: `limits.${limit}`,
      observed,
      capacity: limits[limit],
    });
    const fixed = (limit: string, observed: number | null, capacity: number | undefined): Gauge => ({
      limit,
      path: null,
      observed,
      capacity,
    });
    const { connections } = measured;
    const { filesystemBytes } = await runtime.enforced(limits);
    const gauges = [
      option("memoryBytes", measured.memoryBytes),
      option("processes", measured.processes),
      {
        limit: "filesystemBytes",
        path: `limits.${filesystemBytes < limits.filesystemBytes ? "memoryBytes" : "filesystemBytes"}`,
        observed: measured.filesystemBytes,
        capacity: filesystemBytes,
      },
      option("inodes", measured.inodes),
      option("openFiles", measured.openFiles),
      option("cpus", this.#cpus(measured.cpuMs)),
      fixed("MAX_SESSIONS", await sessions().catch(() => null), maxima.MAX_SESSIONS),
      fixed("MAX_OPEN_SHELLS", shells(), maxima.MAX_OPEN_SHELLS),
      fixed("MAX_VM_CONNECTIONS", connections?.used ?? null, connections?.limit),
    ];
    if (this.#bootedAt !== undefined) this.#limits.check(gauges);
  }

  /** CPUs that the VM has used since the last measurement, on average. */
  #cpus(cpuMs: number | null): number | null {
    const last = this.#lastCpu;
    const at = performance.now();
    if (cpuMs === null || (last !== undefined && at - last.at < MIN_CPU_MS)) return null;
    this.#lastCpu = { cpuMs, at };
    return last === undefined ? null : Math.round((100 * (cpuMs - last.cpuMs)) / (at - last.at)) / 100;
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
