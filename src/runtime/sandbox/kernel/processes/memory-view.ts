import { chmodSync, closeSync, openSync, rmSync, writeSync } from "node:fs";
import { freemem, totalmem } from "node:os";
import type { VmLimits } from "../../../options.ts";
import type { VmCgroup } from "./cgroup.ts";

/** The view is renewed this often, and when a command starts, but then at most once in `RENEW_MS`. */
const INTERVAL_MS = 5000;
const RENEW_MS = 1000;

/** Amounts are rounded, so that small changes write nothing. */
const STEP_KIB = 256;

/** The VM's memory as /proc/meminfo shows it: its limit, and what its cgroup has counted. A file of the host, mounted into the VM. */
export class MemoryView {
  readonly path: string;
  readonly #fd: number;
  readonly #cgroup: VmCgroup;
  readonly #timer: NodeJS.Timeout;
  #limitBytes: number;
  #written = "";
  #renewedAt = Number.NEGATIVE_INFINITY;

  constructor(path: string, cgroup: VmCgroup, { memoryBytes }: VmLimits) {
    this.path = path;
    this.#cgroup = cgroup;
    this.#limitBytes = memoryBytes;
    this.#fd = openSync(path, "w");
    chmodSync(path, 0o644);
    this.#write(NOTHING);
    this.#timer = setInterval(() => this.#write(), INTERVAL_MS).unref();
  }

  setLimits({ memoryBytes }: VmLimits): void {
    this.#limitBytes = memoryBytes;
    this.#write();
  }

  /** Call it when a command starts. */
  renew(): void {
    if (performance.now() - this.#renewedAt >= RENEW_MS) this.#write();
  }

  close(): void {
    clearInterval(this.#timer);
    closeSync(this.#fd);
    rmSync(this.path, { force: true });
  }

  #write(counted = this.#cgroup.memory()): void {
    this.#renewedAt = performance.now();
    const text = memoryInfo(this.#limitBytes, counted);
    if (text === this.#written) return;
    this.#written = text;
    // All texts have the same length, so that no reader finds a part of one.
    writeSync(this.#fd, text, 0);
  }
}

/** Bytes that a cgroup has counted. */
export interface CountedMemory {
  used: number;
  /** Content of files, with `shared`. */
  cached: number;
  /** Content of files that the kernel can drop. */
  inactive: number;
  /** Content of files in memory only. */
  shared: number;
}

/** Memory of a cgroup that has no process yet. */
const NOTHING: CountedMemory = { used: 0, cached: 0, inactive: 0, shared: 0 };

/** The text of proc_meminfo(5), in the fields that programs read. */
function memoryInfo(limitBytes: number, { used, cached, inactive, shared }: CountedMemory): string {
  const total = Math.min(limitBytes, totalmem());
  const free = Math.max(0, total - used);
  const available = Math.min(free + inactive, freemem());
  const fields: [name: string, bytes: number][] = [
    ["MemTotal", total],
    ["MemFree", free],
    ["MemAvailable", available],
    ["Buffers", 0],
    ["Cached", cached],
    ["SwapCached", 0],
    ["Active", Math.max(0, used - inactive)],
    ["Inactive", inactive],
    ["SwapTotal", 0],
    ["SwapFree", 0],
    ["AnonPages", Math.max(0, used - cached)],
    ["Shmem", shared],
    ["Slab", 0],
    ["SReclaimable", 0],
  ];
  const inKib = (bytes: number) => String(Math.floor(bytes / 1024 / STEP_KIB) * STEP_KIB).padStart(16);
  return fields.map(([name, bytes]) => `${`${name}:`.padEnd(14)}${inKib(bytes)} kB\n`).join("");
}
