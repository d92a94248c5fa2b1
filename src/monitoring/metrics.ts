import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { DirectoryTally } from "../directory/vm-directory.ts";
import type { VmReport } from "../runtime/reports.ts";
import type { PoolTally } from "../runtime/sandbox/pool/sandbox-pool.ts";

const SECOND_MS = 1_000;
const BOOT_BUCKETS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30];
const COMMAND_BUCKETS = [0.01, 0.05, 0.1, 0.5, 1, 5, 30, 120, 600, 3600];
const CALL_BUCKETS = [0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 30, 120, 600];
const CHECKPOINT_BUCKETS = [0.005, 0.025, 0.1, 0.5, 1, 5, 30, 120];

/** The metrics of one server, in the form that Prometheus reads. docs/operations.md lists them. */
export class Metrics {
  readonly #registry = new Registry();
  #isScraped = false;
  readonly #vms = this.#gauge("vms", "VMs of the data folder by state", ["state"]);
  readonly #processes = this.#gauge("processes", "Processes in all VMs");
  readonly #sessions = this.#gauge("sessions", "Open agent sessions of awake VMs");
  readonly #storedBytes = this.#gauge("stored_bytes", "Bytes that all VMs take in the data folder");
  readonly #draining = this.#gauge("draining", "1 while the server shuts down");
  readonly #boots = this.#counter("boots_total", "Boots of VMs by outcome", ["outcome"]);
  readonly #bootSeconds = this.#histogram("boot_seconds", "Duration of a boot", BOOT_BUCKETS);
  readonly #poolWaiting = this.#gauge(
    "pool_waiting",
    "VMs that are booted ahead and wait for their first call",
  );
  readonly #poolClaims = this.#counter(
    "pool_claims_total",
    "VMs that found one that was booted ahead (hit), or had to boot (miss)",
    ["outcome"],
  );
  readonly #poolBoots = this.#counter("pool_boots_total", "Boots ahead by outcome", ["outcome"]);
  readonly #poolDropped = this.#counter(
    "pool_dropped_total",
    "VMs that were booted ahead and ended without a call",
  );
  readonly #ends = this.#counter("vm_ends_total", "Ends of boots by reason; `error` is a crash", ["reason"]);
  readonly #commands = this.#counter(
    "commands_total",
    "Commands of exec, spawn and run by reason of their end",
    ["reason"],
  );
  readonly #commandSeconds = this.#histogram("command_seconds", "Duration of a command", COMMAND_BUCKETS);
  readonly #calls = this.#counter("calls_total", "Calls by method and outcome", ["method", "outcome"]);
  readonly #callSeconds = this.#histogram("call_seconds", "Duration of a call", CALL_BUCKETS);
  readonly #checkpointSeconds = this.#histogram(
    "checkpoint_seconds",
    "Duration of a checkpoint",
    CHECKPOINT_BUCKETS,
  );
  readonly #checkpointBytes = this.#counter("checkpoint_bytes_total", "File content that checkpoints stored");
  readonly #kills = this.#counter(
    "oom_kills_total",
    "Processes that the kernel killed at a VM's memory limit",
  );
  readonly #denied = this.#counter("denied_connections_total", "Connections that the outbound policy denied");
  readonly #slow = this.#counter("slow_storage_total", "Operations of the storage that took over a second");
  readonly #proxied = this.#counter(
    "proxy_bytes_total",
    "Bytes of ended connections through outbound proxies",
    ["direction"],
  );
  readonly #refused = this.#counter("refused_requests_total", "Requests without access, by error code", [
    "code",
  ]);

  report(report: VmReport): void {
    if (report.kind === "booted") {
      this.#boots.inc({ outcome: "ok" });
      this.#bootSeconds.observe(report.ms / SECOND_MS);
    } else if (report.kind === "bootFailed") this.#boots.inc({ outcome: "failed" });
    else if (report.kind === "down") this.#ends.inc({ reason: report.reason });
    else if (report.kind === "commandEnded") {
      this.#commands.inc({ reason: report.reason });
      this.#commandSeconds.observe(report.ms / SECOND_MS);
    } else if (report.kind === "checkpoint") {
      this.#checkpointSeconds.observe(report.ms / SECOND_MS);
      this.#checkpointBytes.inc(report.bytes);
    } else if (report.kind === "outOfMemory") this.#kills.inc(report.kills);
    else if (report.kind === "denied") this.#denied.inc();
    else if (report.kind === "slowStorage") this.#slow.inc();
    else {
      this.#proxied.inc({ direction: "out" }, report.bytesOut);
      this.#proxied.inc({ direction: "in" }, report.bytesIn);
    }
  }

  /** @param outcome `"ok"`, or the error's code */
  called(method: string, outcome: string, ms: number): void {
    this.#calls.inc({ method, outcome });
    this.#callSeconds.observe(ms / SECOND_MS);
  }

  /** A request has been refused. @param code of the error */
  refused(code: string): void {
    this.#refused.inc({ code });
  }

  /** Returns all metrics as text. @param tally the VMs now @param pools VMs that are booted ahead */
  async text(
    tally: DirectoryTally | undefined,
    isDraining: boolean,
    pools: readonly (PoolTally | undefined)[] = [],
  ): Promise<string> {
    // A server that nobody scrapes does not watch its event loop and its garbage collector.
    if (!this.#isScraped) collectDefaultMetrics({ register: this.#registry });
    this.#isScraped = true;
    this.#draining.set(isDraining ? 1 : 0);
    this.#setPools(pools.filter((pool) => pool !== undefined));
    if (tally !== undefined) {
      for (const [state, count] of Object.entries(tally.states)) this.#vms.set({ state }, count);
      this.#processes.set(tally.processes);
      this.#sessions.set(tally.sessions);
      this.#storedBytes.set(tally.storedBytes);
    }
    return await this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  #setPools(pools: readonly PoolTally[]): void {
    const total = (count: keyof PoolTally) => pools.reduce((sum, pool) => sum + pool[count], 0);
    for (const counter of [this.#poolClaims, this.#poolBoots, this.#poolDropped]) counter.reset();
    this.#poolWaiting.set(total("waiting"));
    this.#poolClaims.inc({ outcome: "hit" }, total("hits"));
    this.#poolClaims.inc({ outcome: "miss" }, total("misses"));
    this.#poolBoots.inc({ outcome: "ok" }, total("booted"));
    this.#poolBoots.inc({ outcome: "failed" }, total("failed"));
    this.#poolDropped.inc(total("dropped"));
  }

  #gauge<Label extends string>(name: string, help: string, labelNames: Label[] = []): Gauge<Label> {
    return new Gauge({ name: `agent_vm_${name}`, help, labelNames, registers: [this.#registry] });
  }

  #counter<Label extends string>(name: string, help: string, labelNames: Label[] = []): Counter<Label> {
    return new Counter({ name: `agent_vm_${name}`, help, labelNames, registers: [this.#registry] });
  }

  #histogram(name: string, help: string, buckets: number[]): Histogram {
    return new Histogram({ name: `agent_vm_${name}`, help, buckets, registers: [this.#registry] });
  }
}
